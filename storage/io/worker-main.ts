/** The first module of every worker thread: loads the activity's module and runs it. */
import { parentPort, workerData } from 'node:worker_threads';
import { messagePort, type Run } from './executor.ts';
import { threadWorld } from './world.ts';

const { entry, init } = workerData as { entry: string; init: unknown };
const { run } = (await import(entry)) as { run: Run<unknown> };
if (parentPort === null) throw new Error('worker-main runs only on a worker thread');
await run(messagePort(parentPort), init, threadWorld);
