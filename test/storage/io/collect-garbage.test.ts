import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';

const WORK = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData).then(({ collectGarbage }) => {
    const left = new WeakRef(new ArrayBuffer(2 ** 20));
    // What a turn has looked at lives until its end.
    setTimeout(() => {
      collectGarbage();
      setTimeout(() => parentPort.postMessage(left.deref() === undefined), 0);
    }, 0);
  });
`;

test('what a thread no longer refers to is freed', async () => {
  const workerData = new URL('../../../storage/io/collect-garbage.ts', import.meta.url).href;
  const worker = new Worker(WORK, { eval: true, workerData });
  const [isFreed] = await once(worker, 'message');
  await worker.terminate();
  expect(isFreed).toBe(true);
});
