import type { BucketConfig } from './bucket-config.ts';

/** What people call the configured bucket, with its place: `s3 https://host/bucket/prefix`. */
export function describeBucket(config: BucketConfig): string {
  if (config.type === 'FILESYSTEM') return `filesystem ${config.directory}`;
  return `${config.type.toLowerCase()} ${[addressOf(config), ...config.prefix.split('/')].filter(Boolean).join('/')}`;
}

function addressOf(config: Exclude<BucketConfig, { type: 'FILESYSTEM' }>): string {
  switch (config.type) {
    case 'S3':
      return `${config.endpoint}/${config.bucket}`;
    case 'GCS':
      return `gs://${config.bucket}`;
    case 'AZURE':
      return `${config.accountUrl}/${config.container}`;
  }
}
