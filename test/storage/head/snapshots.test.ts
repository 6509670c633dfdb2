import { expect, test } from 'vitest';
import { Snapshots } from '../../../storage/head/snapshots.ts';
import { ALWAYS } from '../../support/database-answers.ts';

const facts = { tenant: 'a', range: ALWAYS, handle: 0, blocks: [], quarantined: [], published: [] };

/** Whether a promise is resolved by now. */
async function isResolved(promise: Promise<void>): Promise<boolean> {
  return await Promise.race([promise.then(() => true), new Promise<false>((no) => setImmediate(() => no(false)))]);
}

test('who waits for the present snapshots does not wait for later ones', async () => {
  const snapshots = new Snapshots();
  const [first, second] = [snapshots.take(facts), snapshots.take(facts)];
  const gone = snapshots.whenPresentOnesAreGone();
  const third = snapshots.take(facts);
  expect(new Set([first.id, second.id, third.id]).size).toBe(3);
  const later = snapshots.whenPresentOnesAreGone();
  snapshots.release(second.id);
  expect(await isResolved(gone)).toBe(false);
  snapshots.release(first.id);
  expect([await isResolved(gone), await isResolved(later)]).toEqual([true, false]);
  expect(snapshots.count).toBe(1);
  snapshots.release(third.id);
  expect(await isResolved(later)).toBe(true);
});

test('nobody waits when there is no snapshot, and a second release changes nothing', async () => {
  const snapshots = new Snapshots();
  await snapshots.whenPresentOnesAreGone();
  const [first, second] = [snapshots.take(facts), snapshots.take(facts)];
  snapshots.release(first.id);
  snapshots.release(first.id);
  snapshots.release(12345);
  expect(snapshots.count).toBe(1);
  const gone = snapshots.whenPresentOnesAreGone();
  expect(await isResolved(gone)).toBe(false);
  snapshots.release(second.id);
  expect(await isResolved(gone)).toBe(true);
});
