import { expect, test } from 'vitest';
import { InlineWaits, threadWorld } from '../../../storage/io/world.ts';
import { SimClock } from '../../support/sim-machine.ts';

const words = (): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(8));

/** Whether a promise is resolved after some turns of the event loop. */
async function isResolved(promise: void | Promise<void>): Promise<boolean> {
  let done = false;
  void Promise.resolve(promise).then(() => {
    done = true;
  });
  for (let i = 0; i < 10; i++) await new Promise((turn) => setImmediate(turn));
  return done;
}

test('inline, who waits for a word lets the others go on, and hears when it is notified', async () => {
  const shared = words();
  const waits = new InlineWaits(new SimClock(0));
  const waiting = waits.wait(shared, 1, 0, 1000);
  Atomics.store(shared, 1, 5);
  waits.notify(shared, 0);
  waits.notify(words(), 1);
  expect(await isResolved(waiting)).toBe(false);
  waits.notify(new Int32Array(shared.buffer), 1);
  expect(await isResolved(waiting)).toBe(true);
});

test('a word that is not what was expected is not waited for', async () => {
  const shared = words();
  Atomics.store(shared, 0, 7);
  expect(await isResolved(new InlineWaits(new SimClock(0)).wait(shared, 0, 0, 1000))).toBe(true);
  // A thread of its own would block for ever here.
  expect(threadWorld.wait(shared, 0, 0, Number.POSITIVE_INFINITY)).toBeUndefined();
});

test('inline, the patience is told by the clock that was given', async () => {
  const clock = new SimClock(0);
  const waiting = new InlineWaits(clock).wait(words(), 0, 0, 250);
  clock.advance(249);
  expect(await isResolved(waiting)).toBe(false);
  clock.advance(1);
  expect(await isResolved(waiting)).toBe(true);
});
