/**
 * Compiles the kernel (storage/kernel/assembly) to build/kernel.wasm. Does nothing when the sources and the compiler
 * are those of the last time.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const sources = join(root, 'storage/kernel/assembly');
const target = join(root, 'build/kernel.wasm');
const stamp = `${target}.sources`;
const compiler = createRequire(import.meta.url).resolve('assemblyscript/package.json');
const pagesOf4GiB = 65536;
const flags = [
  '-O3 --noAssert --runtime stub --enable simd,threads,bulk-memory',
  // Without a base the optimizer takes the first KiB for unused and folds additions into offsets, which do not wrap:
  // our state words are there, and an address that is computed through a negative number would trap.
  '--memoryBase 64',
  `--importMemory --sharedMemory --initialMemory 1 --maximumMemory ${pagesOf4GiB}`,
].flatMap((line) => line.split(' '));

const hash = createHash('sha256').update(readFileSync(compiler)).update(flags.join(' '));
for (const name of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, name)));
hash.update(readFileSync(join(root, 'storage/kernel/layout.ts')));
const wanted = hash.digest('hex');

if (!existsSync(target) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  mkdirSync(dirname(target), { recursive: true });
  const asc = join(dirname(compiler), 'bin/asc.js');
  const run = spawnSync(process.execPath, [asc, join(sources, 'index.ts'), '-o', target, ...flags], {
    cwd: root,
    encoding: 'utf8',
  });
  if (run.status !== 0) {
    process.stderr.write(`kernel: the compiler ended with ${run.status}\n${run.stdout}${run.stderr}`);
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}
