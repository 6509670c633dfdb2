import { expect, test } from 'vitest';
import { concurrently } from '../../../storage/lib/concurrently.ts';

test('results come in the order of the items, whoever is first', async () => {
  const waiting: (() => void)[] = [];
  const results = concurrently([1, 2, 3], 3, async (item) => {
    await new Promise<void>((resolve) => void waiting.push(resolve));
    return item * 10;
  });
  for (const resolve of waiting.reverse()) resolve();
  expect(await results).toEqual([10, 20, 30]);
  expect(await concurrently([], 3, () => Promise.reject(new Error('nothing to do')))).toEqual([]);
});

test('no more than the limit are under way', async () => {
  let underWay = 0;
  let most = 0;
  await concurrently(
    Array.from({ length: 20 }, (_, i) => i),
    4,
    async () => {
      most = Math.max(most, ++underWay);
      await Promise.resolve();
      underWay--;
    },
  );
  expect(most).toBe(4);
});

test('after a failure nothing is begun, and what was begun has ended', async () => {
  const begun: number[] = [];
  const ended: number[] = [];
  const failing = concurrently([0, 1, 2, 3, 4], 2, async (item) => {
    begun.push(item);
    if (item === 0) throw new Error('broken');
    await Promise.resolve();
    await Promise.resolve();
    ended.push(item);
  });
  await expect(failing).rejects.toThrow('broken');
  expect([begun, ended]).toEqual([[0, 1], [1]]);
});
