/** The machine is gone, or only paused: what another one has then, by the programs as users start them. */
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { DurableLoad } from '../support/durable-load.ts';
import { readStreamed } from '../support/remote-read.ts';
import { writeRequest } from '../support/remote-write.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { until } from '../support/until.ts';
import { Varve } from '../support/varve.ts';

const root: string = fileURLToPath(new URL('../..', import.meta.url));

/** A bucket in a directory of its own; the flags that name it. */
function bucketFlags(temporary: TemporaryDirectory): string[] {
  const config = join(temporary.path, 'bucket.yml');
  writeFileSync(config, `type: FILESYSTEM\nconfig:\n  directory: ${join(temporary.path, 'store')}\n`);
  return [`--objstore.config-file=${config}`];
}

function body(name: string): Buffer<ArrayBuffer> {
  return writeRequest([{ labels: [['__name__', name]], samples: [[Date.now(), 1]] }]);
}

async function writeSome(load: DurableLoad, varve: Varve, requests: number): Promise<void> {
  const before = load.journal.count('acknowledged');
  await load.run(varve, () => load.journal.count('acknowledged') >= before + requests);
}

test('varve restore brings back what was acknowledged with ack bucket, and says so', async () => {
  using temporary = new TemporaryDirectory('restore');
  const flags = bucketFlags(temporary);
  const directory = join(temporary.path, 'data');
  await using varve = await Varve.start({
    directory,
    flags: [...flags, '--wal.ack=bucket', '--wal.ack-interval=20ms'],
  });
  const load = new DurableLoad();
  await writeSome(load, varve, 50);
  await varve.kill();
  rmSync(directory, { recursive: true });
  const restore = [join(root, 'src/main.ts'), 'restore', `--storage.path=${directory}`, ...flags];
  expect(execFileSync(process.execPath, [...restore, '--dry-run'], { encoding: 'utf8' })).toMatch(
    /^would restore epoch 1 /,
  );
  expect(execFileSync(process.execPath, restore, { encoding: 'utf8' })).toMatch(/^restored epoch 1 .* as epoch 2\n$/);
  const again = spawnSync(process.execPath, restore, { encoding: 'utf8' });
  expect([again.status, again.stderr]).toEqual([1, expect.stringContaining('is not empty')]);
  await varve.restart(flags);
  expect(load.journal.violations(await readStreamed(varve.url, load.wholeRange))).toEqual([]);
}, 120_000);

test('of several instances one has to be named', async () => {
  using temporary = new TemporaryDirectory('instances');
  const flags = bucketFlags(temporary);
  for (const name of ['one', 'two']) {
    await using varve = await Varve.start({ directory: join(temporary.path, name), flags });
    expect((await varve.write(body(name))).status).toBe(204);
    await varve.stop();
  }
  const args = [
    'serve',
    '--restore',
    `--storage.path=${join(temporary.path, 'new')}`,
    '--web.listen-address=127.0.0.1:0',
  ];
  for (const command of [args, ['restore', `--storage.path=${join(temporary.path, 'new')}`]]) {
    const ended = spawnSync(process.execPath, [join(root, 'src/main.ts'), ...command, ...flags], { encoding: 'utf8' });
    expect([command[0], ended.status]).toEqual([command[0], 2]);
    expect(ended.stderr.match(/ {2}instance [0-9A-Z]{26}, epoch 1: \d+ bytes, last 20/g)).toHaveLength(2);
  }
}, 120_000);

test('a paused process that was restored elsewhere stops by itself, and both keep what they have', async () => {
  using temporary = new TemporaryDirectory('paused');
  const flags = [...bucketFlags(temporary), '--restore', '--wal.ship-interval=200ms'];
  await using old = await Varve.start({ directory: join(temporary.path, 'old'), flags });
  const load = new DurableLoad();
  await writeSome(load, old, 100);
  // A shipment later all of it is in the bucket.
  await until('all to be shipped', async () => /^varve_wal_not_shipped_bytes 0$/m.test(await metrics(old)));
  process.kill(old.pid, 'SIGSTOP');
  const pausedUntil = performance.now() + 6000;
  await using restored = await Varve.start({ directory: join(temporary.path, 'new'), flags });
  expect(load.journal.violations(await readStreamed(restored.url, load.wholeRange))).toEqual([]);
  expect((await restored.write(body('newer'))).status).toBe(204);
  await until('the pause to be one', () => performance.now() > pausedUntil);
  process.kill(old.pid, 'SIGCONT');
  const ready = await until('the old one to be fenced', async () => {
    const answer = await fetch(`${old.url}/-/ready`);
    return answer.status === 503 ? await answer.text() : undefined;
  });
  expect(ready).toContain('epoch 2 of instance');
  expect(await old.write(body('late'))).toMatchObject({
    status: 503,
    text: expect.stringContaining('restored elsewhere'),
  });
  expect(await metrics(old)).toMatch(/^varve_fenced 1$/m);
  expect(load.journal.violations(await readStreamed(old.url, load.wholeRange))).toEqual([]);
  expect((await old.stop()).code).toBe(0);
  expect((await fetch(`${restored.url}/-/ready`)).status).toBe(200);
}, 180_000);

async function metrics(varve: Varve): Promise<string> {
  return await (await fetch(`${varve.url}/metrics`)).text();
}
