/** `--receive.relabel-config-file` as a user meets it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EVERYTHING, readSamples } from '../../support/remote-read.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { spawnVarve, Varve } from '../../support/varve.ts';

const HEADERS = { 'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy' };

test('a file that is wrong ends the start with 2, at its line', async () => {
  using temporary = new TemporaryDirectory('relabel');
  const path = join(temporary.path, 'relabel.yml');
  writeFileSync(path, '- action: drop\n  source_label: [job]\n');
  await using program = spawnVarve(join(temporary.path, 'data'), [`--receive.relabel-config-file=${path}`]);
  expect((await program.ended).code).toBe(2);
  expect(program.output).toBe(`varve: ${path}:2:3: unknown key "source_label" in [0]: the nearest is source_labels\n`);
});

test('rules hold for known series when they have changed, and wrong ones leave those before them', async () => {
  using temporary = new TemporaryDirectory('relabel');
  const path = join(temporary.path, 'relabel.yml');
  const use = (version: string): void =>
    writeFileSync(
      path,
      `- {target_label: version, replacement: ${version}}\n- {action: drop, source_labels: [job], regex: no}\n`,
    );
  use('one');
  const flags = [`--receive.relabel-config-file=${path}`, '--web.enable-lifecycle'];
  await using varve = await Varve.start({ flags });
  const firstMs = Date.now();
  let sent = 0;
  const send = async (): Promise<void> => {
    const samples = [[firstMs + sent++, 1]] as const;
    const series = ['yes', 'no'].map((job) => ({
      labels: [
        ['__name__', 'up'],
        ['job', job],
      ] as const,
      samples,
    }));
    const response = await fetch(`${varve.url}/api/v1/write`, {
      method: 'POST',
      headers: HEADERS,
      body: writeRequest(series),
    });
    expect(response.status).toBe(204);
  };
  const versions = async (): Promise<string[]> => {
    const query = { startMs: firstMs, endMs: firstMs + 60_000, matchers: EVERYTHING };
    return [...(await readSamples(varve.url, query)).keys()].map((labels) => /version="(\w+)"/.exec(labels)?.[1] ?? '');
  };
  const reload = async (): Promise<[number, string]> => {
    const response = await fetch(`${varve.url}/-/reload`, { method: 'POST' });
    return [response.status, await response.text()];
  };
  await send();
  expect(await versions()).toEqual(['one']);

  use('two');
  expect(await reload()).toEqual([200, '']);
  await send();
  expect(await versions()).toEqual(['one', 'two']);

  writeFileSync(path, '- {action: replace}\n');
  expect(await reload()).toEqual([500, `failed to reload config: ${path}:1:3: replace requires target_label\n`]);
  await send();
  expect(await versions()).toEqual(['one', 'two']);

  use('three');
  process.kill(varve.pid, 'SIGHUP');
  await until('the signal is heard', () => varve.output.includes('reason=SIGHUP'));
  await send();
  expect((await versions()).sort()).toEqual(['one', 'three', 'two']);

  use('four');
  await until('the change is seen', async () => {
    await send();
    return (await versions()).includes('four');
  });
  const metrics = await (await fetch(`${varve.url}/metrics`)).text();
  expect(metrics).toContain(`varve_samples_dropped_total{tenant="default-tenant",reason="relabel"} ${sent}\n`);
  expect(metrics).toContain(`varve_samples_stored_total{tenant="default-tenant"} ${sent}\n`);
});
