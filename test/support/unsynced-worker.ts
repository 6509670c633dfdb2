/** A worker thread as storage/io/worker-main.ts, on a disk that does not sync. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadActivity, messagePort } from '../../storage/io/executor.ts';
import { threadWorld } from '../../storage/io/world.ts';
import { unsynced } from './unsynced-file-system.ts';

const { entry, init } = workerData as { entry: string; init: unknown };
const { run } = await loadActivity(new URL(entry));
if (parentPort === null) throw new Error('unsynced-worker runs only on a worker thread');
await run(messagePort(parentPort), init, { ...threadWorld, fileSystem: unsynced(threadWorld.fileSystem) });
