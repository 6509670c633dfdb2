import { expect, test } from 'vitest';
import { WriteGate } from '../../../src/api/write-gate.ts';

/** Works that end when they are told to. */
function works(gate: WriteGate): {
  begin: () => void;
  begun: number[];
  end: (work: number, error?: Error) => Promise<void>;
} {
  const begun: number[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const all: Promise<void>[] = [];
  return {
    begun,
    begin: () => {
      const work = ends.push(Promise.withResolvers()) - 1;
      all.push(
        gate.run(() => {
          begun.push(work);
          return (ends[work] as PromiseWithResolvers<void>).promise;
        }),
      );
    },
    end: async (work, error) => {
      if (error === undefined) ends[work]?.resolve();
      else ends[work]?.reject(error);
      await all[work]?.catch(() => undefined);
      await Promise.resolve();
    },
  };
}

test('as many as are allowed are worked on, the others wait in their order; a failure makes room like any end', async () => {
  const gate = new WriteGate();
  gate.setLimit(2);
  const { begin, begun, end } = works(gate);
  for (let i = 0; i < 5; i++) begin();
  expect(begun).toEqual([0, 1]);
  await end(1, new Error('refused'));
  expect(begun).toEqual([0, 1, 2]);
  await end(0);
  await end(2);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});

test('a new limit holds at once, and 0 lets in all that wait', async () => {
  const gate = new WriteGate();
  gate.setLimit(1);
  const { begin, begun, end } = works(gate);
  for (let i = 0; i < 6; i++) begin();
  gate.setLimit(3);
  await end(0);
  expect(begun).toEqual([0, 1, 2, 3]);
  gate.setLimit(1);
  await end(1);
  expect(begun).toEqual([0, 1, 2, 3]);
  gate.setLimit(0);
  await end(2);
  expect(begun).toEqual([0, 1, 2, 3, 4, 5]);
});
