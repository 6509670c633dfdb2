import type { BucketConfig } from './bucket-config.ts';

/** What people call the configured bucket, with its place: `s3 https://host/bucket/prefix`. */
export function describeBucket(config: BucketConfig): string {
  if (config.type === 'FILESYSTEM') return `filesystem ${config.directory}`;
  return `s3 ${[`${config.endpoint}/${config.bucket}`, ...config.prefix.split('/')].filter(Boolean).join('/')}`;
}
