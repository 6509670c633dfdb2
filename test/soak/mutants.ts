/**
 * Faults planted into the kernel, one at a time, each of which the fuzz must find: a fuzz that finds none of them would
 * find nothing else either.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MUTANTS, type Mutant } from './mutant-list.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const COPIED = ['package.json', 'bench', 'scripts', 'storage', 'test', 'proto'];
/** A mutant may also make the kernel run for ever. */
const TIMEOUT_MS = 120_000;

/** Whether every mutant is caught within so many bodies. */
export function runMutants(bodies: number, log: (line: string) => void): boolean {
  let caught = 0;
  for (const mutant of MUTANTS) {
    const finding = findingOf(mutant, bodies);
    log(
      `${finding === undefined ? 'SURVIVED' : 'caught  '} ${mutant.what}${finding === undefined ? '' : ` (${finding})`}`,
    );
    if (finding !== undefined) caught++;
  }
  log(`${caught} of ${MUTANTS.length} mutants are caught`);
  return caught === MUTANTS.length;
}

/** What the fuzz says of a kernel with this fault in it; undefined: nothing. */
function findingOf(mutant: Mutant, bodies: number): string | undefined {
  const directory = mkdtempSync(join(tmpdir(), 'varve-mutant-'));
  try {
    for (const name of COPIED) cpSync(join(ROOT, name), join(directory, name), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
    plant(mutant, join(directory, 'storage/kernel/assembly', mutant.file));
    const build = run(directory, ['scripts/build-kernel.ts']);
    if (build.status !== 0) throw new Error(`${mutant.what}: ${build.stderr}`);
    const fuzz = run(directory, ['test/soak/main.ts', 'fuzz', '--bodies', String(bodies)]);
    if (fuzz.status === 0) return undefined;
    if (fuzz.status === null) return 'it never ended';
    const difference = fuzz.stdout.split('\n').find((line) => line.startsWith('seed '));
    if (difference === undefined) throw new Error(`${mutant.what}: ${fuzz.stdout}${fuzz.stderr}`);
    return difference;
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
