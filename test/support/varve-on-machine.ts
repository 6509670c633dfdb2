/** The program on a machine of a test (`TEST_MACHINE`): small segments, a disk that does not sync, or takes its time. */
import { pbkdf2 } from 'node:crypto';
import { run } from '../../src/cli/program.ts';
import { moduleUrl, workersOf } from '../../storage/io/executor.ts';
import { killingBucket } from './killing-bucket.ts';
import { machineFileSystem, machineOptions } from './machine-file-system.ts';

const POOL_THREADS = 4;
const ENDLESS = 2 ** 31 - 1;

/** From this signal on all threads of Node's pool are busy, as long as the program runs. */
process.on('SIGUSR2', () => {
  for (let i = 0; i < 2 * POOL_THREADS; i++) pbkdf2('password', 'salt', ENDLESS, 64, 'sha512', () => {});
});

const { segmentBytes, bucket, isUnsynced = false } = machineOptions;
const machine = {
  fileSystem: machineFileSystem,
  executor: workersOf(moduleUrl('./machine-worker', import.meta.url)),
  // SQLite would sync what the disk is not to sync.
  isCatalogInMemory: isUnsynced,
  ...(bucket === undefined ? {} : { bucket: killingBucket(bucket) }),
  ...(segmentBytes === undefined ? {} : { walSegmentBytes: segmentBytes }),
};
process.exit(await run(process.argv.slice(2), process.env, machine));
