import { expect, test } from 'vitest';
import type { Replica } from '../../../storage/head/ha-pairs.ts';
import { ObservedInterval } from '../../../storage/head/observed-interval.ts';
import { Shadow } from '../../../storage/head/shadow.ts';

test('a body is kept as it came, also when the memory that it came in is freed', () => {
  const shadow = new Shadow(100);
  const replica: Replica = {
    name: 'b',
    cluster: {
      tenant: 't',
      labels: [],
      replicas: new Map(),
      elected: 'a',
      sinceMs: 0,
      restoredAtMs: 0,
      restoredIntervalMs: 0,
      isWarned: false,
    },
    address: 0,
    interval: new ObservedInterval(),
    seenAtMs: 0,
    seenMs: 0,
    missing: 0,
  };
  const body = Buffer.from(Uint8Array.of(1, 2, 3).buffer);
  expect(shadow.keep({ tenant: 't', body, format: {}, receivedMs: 0, replicas: new Set([replica]), samples: 1 })).toBe(
    true,
  );
  body.buffer.transfer(0);
  expect(shadow.take(replica, 0).map((request) => [...request.body])).toEqual([[1, 2, 3]]);
});
