/** The real program on a machine that lacks something: inodes, file descriptors, room in a file, speed, threads. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DurableLoad } from '../support/durable-load.ts';
import { outcomeOf } from '../support/journal.ts';
import { peers } from '../support/peers.ts';
import { readStreamed } from '../support/remote-read.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const SMALL_SEGMENTS = { segmentBytes: 16 * 1024 };
const SHAPE = { series: 5, samples: 20, stepMs: 15_000 };

/** Under load: breaks the machine until writes are refused, mends it until they are taken, kills, and compares. */
async function expectRefusedAndRecovered(varve: Varve, breakIt: () => void, mendIt: () => void): Promise<void> {
  const load = new DurableLoad(SHAPE);
  const { journal } = load;
  const running = load.run(varve, () => false);
  await until('answers', () => journal.count('acknowledged') > 50);
  breakIt();
  const unknown = journal.count('unknown');
  await until('refusals', () => journal.count('unknown') > unknown + 5);
  expect(varve.isRunning).toBe(true);
  mendIt();
  const taken = journal.count('acknowledged');
  await until('answers again', () => journal.count('acknowledged') > taken + 50);
  await varve.kill();
  await running;
  await varve.restart();
  expect(journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
}

test('a limit on the length of files is a 503, not the end', async () => {
  await using varve = await Varve.start({ machine: SMALL_SEGMENTS });
  const limit = (bytes: string): void =>
    void execFileSync('prlimit', ['--pid', String(varve.pid), `--fsize=${bytes}:`]);
  await expectRefusedAndRecovered(
    varve,
    () => limit('4096'),
    () => limit('unlimited'),
  );
}, 120_000);

test('without file descriptors the open segment is still written; then writes get 503, until there are some', async () => {
  await using varve = await Varve.start({ machine: SMALL_SEGMENTS });
  const limit = (files: number): void =>
    void execFileSync('prlimit', ['--pid', String(varve.pid), `--nofile=${files}:`]);
  await expectRefusedAndRecovered(
    varve,
    () => limit(3),
    () => limit(4096),
  );
}, 120_000);

test.skipIf(!peers.root)(
  'without inodes writes get 503, until there are some',
  async () => {
    using temporary = new TemporaryDirectory('inodes');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'nr_inodes=200,size=256m', 'tmpfs', temporary.path]);
    try {
      await using varve = await Varve.start({ directory: join(temporary.path, 'data'), machine: SMALL_SEGMENTS });
      const filler = join(temporary.path, 'filler');
      mkdirSync(filler);
      const takeAll = (): void => {
        try {
          for (let i = 0; ; i++) writeFileSync(join(filler, String(i)), '');
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOSPC' });
        }
      };
      await expectRefusedAndRecovered(varve, takeAll, () => rmSync(filler, { recursive: true }));
    } finally {
      execFileSync('umount', [temporary.path]);
    }
  },
  120_000,
);

test('on a disk whose syncs are slow, writes share them, and nothing is lost', async () => {
  await using varve = await Varve.start({ machine: { syncDelayMs: 50 } });
  const load = new DurableLoad(SHAPE);
  await load.run(varve, () => load.journal.count('acknowledged') >= 200);
  const exposition = await (await fetch(`${varve.url}/metrics`)).text();
  const syncs = Number(/^varve_wal_syncs_total (\d+)/m.exec(exposition)?.[1]);
  expect(syncs).toBeGreaterThan(0);
  expect(syncs).toBeLessThan(load.journal.count('acknowledged'));
  await varve.kill();
  await varve.restart();
  expect(load.journal.count('unknown')).toBe(0);
  expect(load.journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
}, 120_000);

test("writes do not wait for Node's pool of threads, which may be busy for ever", async () => {
  await using varve = await Varve.start({ machine: {} });
  const load = new DurableLoad(SHAPE);
  process.kill(varve.pid, 'SIGUSR2');
  await load.run(varve, () => load.journal.count('acknowledged') >= 40);
  expect(load.journal.count('unknown')).toBe(0);
  expect(outcomeOf((await fetch(`${varve.url}/-/ready`)).status)).toBe('acknowledged');
}, 120_000);
