/** A worker thread as storage/io/worker-main.ts, on the disk of a test's machine. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadActivity, messagePort } from '../../storage/io/executor.ts';
import { threadWorld } from '../../storage/io/world.ts';
import { machineFileSystem } from './machine-file-system.ts';

const { entry, init } = workerData as { entry: string; init: unknown };
const { run } = await loadActivity(new URL(entry));
if (parentPort === null) throw new Error('machine-worker runs only on a worker thread');
await run(messagePort(parentPort), init, { ...threadWorld, fileSystem: machineFileSystem });
