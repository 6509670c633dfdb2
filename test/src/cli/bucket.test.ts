/** `varve serve` with a bucket: what its configuration does at the start. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort, type Program } from '../../support/program.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';
import { until } from '../../support/until.ts';
import { spawnVarve, Varve } from '../../support/varve.ts';

async function ended(flags: readonly string[]): Promise<{ code: number | null; output: string; files: string[] }> {
  using temporary = new TemporaryDirectory('bucket');
  await using program: Program = spawnVarve(temporary.path, flags);
  const { code } = await program.ended;
  return { code, output: program.output, files: readdirSync(temporary.path) };
}

test('a bucket in a directory is opened at the start, and the banner says where it is', async () => {
  using temporary = new TemporaryDirectory('bucket');
  const directory = join(temporary.path, 'bucket');
  const file = join(temporary.path, 'bucket.yml');
  writeFileSync(file, `type: FILESYSTEM\nprefix: p\nconfig:\n  directory: ${directory}\n`);
  await using varve = await Varve.start({ flags: [`--objstore.config-file=${file}`] });
  await until('the banner', () => varve.output.includes('waiting for the first sample …'));
  expect(varve.output).toContain(`  bucket   filesystem ${directory}/p\n`);
  expect(readdirSync(directory)).toEqual(['p']);
});

test.each([
  [
    ['--objstore.config=type: S3\nconfig: {bukcet: b}'],
    'varve: --objstore.config:2:10: unknown key "bukcet" in config: the nearest is bucket',
  ],
  [['--objstore.config-file=/nowhere/b.yml'], 'varve: cannot read /nowhere/b.yml (--objstore.config-file): ENOENT'],
  [
    ['--objstore.config=a', '--objstore.config-file=b'],
    'varve: --objstore.config and --objstore.config-file exclude each other',
  ],
])('%j ends it with 2 before it touches its data directory', async (flags, message) => {
  const { code, output, files } = await ended(flags);
  expect(output).toContain(message);
  expect({ code, files }).toEqual({ code: 2, files: [] });
});

test('a store that is down is no reason not to start', async () => {
  const port = await freePort();
  const config = `{type: S3, config: {bucket: b, endpoint: "localhost:${port}", insecure: true, access_key: a, secret_key: canary, max_retries: 1}}`;
  await using varve = await Varve.start({ flags: [`--objstore.config=${config}`] });
  await until('the banner', () => varve.output.includes('waiting for the first sample …'));
  expect(varve.output).toContain(`  bucket   s3 http://localhost:${port}/b\n`);
  expect(varve.output).toMatch(/level=warn msg="the bucket does not answer: s3 .* nothing listens at this address/);
  expect(varve.output).not.toContain('canary');
});
