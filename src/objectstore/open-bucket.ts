/** Opens the configured bucket on any thread; see BucketLocation. Loads the client of no other store. */
import {
  type Bucket,
  type BucketLocation,
  BucketUsage,
  DirectoryBucket,
  moduleUrl,
  type OpenBucket,
} from '../../storage/index.ts';
import type { BucketConfig } from './bucket-config.ts';
import { describeBucket } from './description.ts';

/** Where `config`'s bucket is, for the engine and its threads; its requests are counted in `usage`. */
export function bucketLocation(config: BucketConfig, usage: BucketUsage = new BucketUsage()): BucketLocation {
  const module = moduleUrl('./open-bucket', import.meta.url).href;
  return { description: describeBucket(config), module, config, usage: usage.memory };
}

export const openBucket: OpenBucket = async (given, world): Promise<Bucket> => {
  const config = given as BucketConfig;
  switch (config.type) {
    case 'S3':
      return (await import('./s3-bucket.ts')).openS3Bucket(config, world);
    case 'GCS':
      return (await import('./gcs-bucket.ts')).openGcsBucket(config, world);
    case 'AZURE':
      return await (await import('./azure-bucket.ts')).openAzureBucket(config, world);
    case 'FILESYSTEM':
      return new DirectoryBucket(world.fileSystem, config.directory, { usage: world.usage });
  }
};
