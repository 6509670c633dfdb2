/** The program on a machine of a test (`TEST_MACHINE`): with small segments, or with a disk that only pretends to sync. */
import { run } from '../../src/cli/program.ts';
import { moduleUrl, workerExecutor, workersOf } from '../../storage/io/executor.ts';
import { nodeFileSystem } from '../../storage/io/node-file-system.ts';
import { unsynced } from './unsynced-file-system.ts';
import type { MachineOptions } from './varve.ts';

const { segmentBytes, isUnsynced = false } = JSON.parse(process.env.TEST_MACHINE ?? '{}') as MachineOptions;
const machine = {
  fileSystem: isUnsynced ? unsynced(nodeFileSystem) : nodeFileSystem,
  executor: isUnsynced ? workersOf(moduleUrl('./unsynced-worker', import.meta.url)) : workerExecutor,
  ...(segmentBytes === undefined ? {} : { walSegmentBytes: segmentBytes }),
};
process.exit(await run(process.argv.slice(2), process.env, machine));
