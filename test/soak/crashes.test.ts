/** The small form of `npm run soak -- power-cuts`, `-- kills` and `-- full-disk`. */
import { expect, test } from 'vitest';
import { peers } from '../support/peers.ts';
import { runCrashes } from './crashes.ts';
import { runFullDisk } from './full-disk.ts';

test('kill -9 under load, at any moment: nothing acknowledged is lost or doubled, nothing refused appears', async () => {
  const tally = await runCrashes({ kind: 'kill', rounds: 6 });
  expect(tally).toMatchObject({ rounds: 6, violations: [] });
  expect(tally.refused).toBeGreaterThan(0);
}, 180_000);

test('with --wal.sync=interval, too, kill -9 loses nothing', async () => {
  const tally = await runCrashes({ kind: 'kill', rounds: 3, flags: ['--wal.sync=interval', '--wal.sync-interval=1h'] });
  expect(tally).toMatchObject({ rounds: 3, violations: [] });
}, 180_000);

test.skipIf(!peers.root)(
  'power cuts under load, at any moment: nothing acknowledged is lost or doubled, nothing refused appears',
  async () => {
    const tally = await runCrashes({ kind: 'power-cut', rounds: 6 });
    expect(tally).toMatchObject({ rounds: 6, violations: [] });
    expect(tally.refused).toBeGreaterThan(0);
  },
  180_000,
);

test.skipIf(!peers.root)(
  'the same on a disk that does not sync loses what it acknowledged: the harness sees it',
  async () => {
    const tally = await runCrashes({ kind: 'power-cut', rounds: 1, isUnsynced: true });
    expect(tally.violations.join()).toContain('lost');
  },
  180_000,
);

test.skipIf(!peers.root)(
  'a disk that is full and has space again loses nothing acknowledged, and writes go on without a restart',
  async () => {
    const tally = await runFullDisk(2);
    expect(tally).toMatchObject({ cycles: 2, violations: [] });
    expect(tally.unanswered).toBeGreaterThan(0);
  },
  180_000,
);
