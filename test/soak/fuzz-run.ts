/**
 * One run of the fuzz: bodies from a seed, each given to the kernel and to its oracles. Tenants take turns so that the
 * comparison of all that is stored stays small, and heads so that the memory does.
 */
import { deepStrictEqual } from 'node:assert/strict';
import { expectSame, judge, shownBy, type Verdict } from '../storage/kernel/judge.ts';
import { RandomBodies } from '../storage/kernel/random-body.ts';
import { TestHead } from '../storage/kernel/test-head.ts';
import { HeadModel } from '../support/oracle/head-model.ts';
import { Seeded } from '../support/seeded.ts';

export interface FuzzTally {
  bodies: number;
  /** Changed before they were packed. */
  changedMessages: number;
  readonly verdicts: Record<Verdict, number>;
}

const BODIES_PER_TENANT = 1000;
const TENANTS_PER_HEAD = 20;

/** Judges `bodies` bodies; throws an Error that names the seed and the number of the first that is judged differently. */
export function fuzz(seed: number, bodies: number, onProgress: (tally: FuzzTally) => void = () => {}): FuzzTally {
  const tally: FuzzTally = { bodies: 0, changedMessages: 0, verdicts: { 'not-unpacked': 0, unpacked: 0, stored: 0 } };
  const source = new RandomBodies(new Seeded(seed));
  while (tally.bodies < bodies) {
    const head = new TestHead();
    for (let i = 0; i < TENANTS_PER_HEAD && tally.bodies < bodies; i++)
      fuzzTenant(head, `tenant-${i}`, source, Math.min(BODIES_PER_TENANT, bodies - tally.bodies), tally, seed);
    expectReplayed(head, `seed ${seed}, bodies up to ${tally.bodies}`);
    onProgress(tally);
  }
  return tally;
}

function fuzzTenant(
  head: TestHead,
  key: string,
  source: RandomBodies,
  bodies: number,
  tally: FuzzTally,
  seed: number,
): void {
  const tenant = head.kernel.tenant(key);
  const model = new HeadModel();
  try {
    for (let i = 0; i < bodies; i++) {
      const { body, isMessageChanged, protocol } = source.next();
      tally.bodies++;
      if (isMessageChanged) tally.changedMessages++;
      tally.verdicts[judge(head, tenant, model, body, protocol)]++;
    }
    expectSame(head, tenant, model);
  } catch (error) {
    throw new Error(`seed ${seed}, body ${tally.bodies}: ${error}`, { cause: error });
  }
}

/** What the log got makes the same head again. */
function expectReplayed(head: TestHead, where: string): void {
  const again = new TestHead();
  for (const { payload, sequence } of head.frames) again.kernel.replay(payload, BigInt(sequence));
  for (const key of head.kernel.tenantKeys()) {
    const [replayed, written] = [again, head].map((one) => shownBy(one, one.kernel.tenant(key)));
    deepStrictEqual(replayed, written, `${where}: what the log makes of tenant ${key} is another head`);
  }
}
