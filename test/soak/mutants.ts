/**
 * Faults planted into the kernel, one at a time, each of which the fuzz must find: a fuzz that finds none of them would
 * find nothing else either.
 *
 *   node test/soak/mutants.ts [--bodies 400000]
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTANTS, type Mutant } from './mutant-list.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const COPIED = ['package.json', 'scripts', 'storage', 'test', 'proto'];
/** A mutant may also make the kernel run for ever. */
const TIMEOUT_MS = 120_000;

function main(): void {
  const { values } = parseArgs({ options: { bodies: { type: 'string', default: '400000' } } });
  const survivors: string[] = [];
  for (const mutant of MUTANTS) {
    const finding = findingOf(mutant, values.bodies);
    process.stdout.write(`${finding === undefined ? 'SURVIVED' : 'caught  '} ${mutant.what}\n`);
    if (finding === undefined) survivors.push(mutant.what);
    else process.stdout.write(`         ${finding}\n`);
  }
  process.stdout.write(`${MUTANTS.length - survivors.length} of ${MUTANTS.length} mutants are caught\n`);
  if (survivors.length > 0) process.exitCode = 1;
}

/** What the fuzz says of a kernel with this fault in it; undefined: nothing. */
function findingOf(mutant: Mutant, bodies: string): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'varve-mutant-'));
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(directory, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    plant(mutant, join(directory, 'storage/kernel/assembly', mutant.file));
    const build = run(directory, ['scripts/build-kernel.ts']);
    if (build.status !== 0) throw new Error(`${mutant.what}: ${build.stderr}`);
    const fuzz = run(directory, ['test/soak/fuzz.ts', '--bodies', bodies]);
    if (fuzz.status === 0) return undefined;
    return fuzz.status === null ? 'it never ended' : fuzz.stdout.trim().split('\n').at(0);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function plant({ what, find, replace }: Mutant, path: string): void {
  const source = readFileSync(path, 'utf8');
  if (source.split(find).length !== 2) throw new Error(`${what}: its place is not in ${path} once`);
  writeFileSync(
    path,
    source.replace(find, () => replace),
  );
}

function run(cwd: string, args: readonly string[]): ReturnType<typeof spawnSync> & { stdout: string; stderr: string } {
  return spawnSync(process.execPath, args, { cwd, encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: 2 ** 26 });
}

main();
