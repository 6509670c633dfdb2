import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Gate } from '../../../storage/lib/gate.ts';

test('whatever comes, all of it is done in order, and never more than the limit at once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ weight: fc.integer({ min: 1, max: 15 }), turns: fc.nat(4), fails: fc.boolean() })),
      async (works) => {
        const gate = new Gate(10);
        const begun: number[] = [];
        let weightNow = 0;
        const outcomes = await Promise.allSettled(
          works.map(({ weight, turns, fails }, i) =>
            gate.run(weight, async () => {
              begun.push(i);
              weightNow += weight;
              expect(weightNow <= 10 || weightNow === weight).toBe(true);
              for (let turn = 0; turn < turns; turn++) await Promise.resolve();
              weightNow -= weight;
              if (fails) throw new Error(String(i));
              return i;
            }),
          ),
        );
        expect(begun).toEqual(works.map((_, i) => i));
        expect(outcomes.map(({ status }) => status)).toEqual(
          works.map(({ fails }) => (fails ? 'rejected' : 'fulfilled')),
        );
      },
    ),
  );
});
