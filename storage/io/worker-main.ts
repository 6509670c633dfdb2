/** The first module of every worker thread: loads the activity's module and runs it. */
import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { loadActivity, messagePort } from './executor.ts';
import { threadWorld } from './world.ts';

const { entry, init } = workerData as { entry: string; init: unknown };
const { run } = await loadActivity(new URL(entry));
if (parentPort === null) throw new Error('worker-main runs only on a worker thread');
// Node writes it at the end of a thread, which one that is terminated never reaches.
flushCompileCache();
await run(messagePort(parentPort), init, threadWorld);
