import { Source } from './bench/load/source.ts';
import { TEMPLATES } from './bench/load/templates.ts';
import { TestHead } from './test/storage/kernel/test-head.ts';
import { rowPieces } from './storage/head/row-pieces.ts';
import * as L from './storage/kernel/layout.ts';
const W = 7_200_000;
const N = Number(process.argv[2] ?? 100000), HOURS = Number(process.argv[3] ?? 24), PER = Number(process.argv[4] ?? 2), SHARE = Number(process.argv[5] ?? 0.1);
const head = new TestHead({ budgetBytes: 2500 * 1024 * 1024 });
(head as any).frames.push = () => 0;
const { kernel } = head;
const source = new Source((TEMPLATES.node as any)(), N, 1);
const start = 1_763_625_600_000 - (1_763_625_600_000 % W);
let pause = { mark: 0, collect: 0, free: 0, drop: 0, redefine: 0 }, total = { mark: 0, collect: 0, free: 0, drop: 0, redefine: 0 };
let marked = false;
const timed = <T>(k: keyof typeof pause, f: () => T): T => { const t = performance.now(); const r = f(); const d = performance.now() - t; pause[k] = Math.max(pause[k], d); total[k] += d; return r; };
const sealed = new Set<number>();
for (let step = 0; step < HOURS * 4; step++) {
  if (step > 0) source.replace(SHARE);
  for (let sub = 0; sub < PER; sub++) {
    source.step();
    for (let from = 0; from < N; from += 2000) head.write(source.body(from, Math.min(N, from + 2000), start + step * 900_000 + sub * Math.floor(900_000 / PER)), Number.MAX_SAFE_INTEGER);
  }
  const now = start + (step + 1) * 900_000;
  const w = Math.floor(now / W) - 1;
  if (now >= (w + 1) * W + W / 2 && !sealed.has(w)) {
    const g = kernel.seal(head.tenant, w); sealed.add(w);
    for (const { segment, index, count } of rowPieces(kernel.memory, head.tenant, 2048)) timed('drop', () => kernel.dropFromSegment(segment, index, count, w, g));
    kernel.release(head.tenant, w);
    while (!timed('redefine', () => kernel.redefine(kernel.rowsMade))) head.takeLog();
    head.takeLog();
    // as the collector: what was marked at the cut before leaves now
    const before = kernel.rowCount;
    if (marked) while (!timed('collect', () => kernel.collect(head.tenant, 20_000)));
    kernel.sealRetired();
    let pieces = 0;
    for (let left = 1; left > 0; pieces++) left = timed('free', () => kernel.freeRetired(4096));
    let m = 0;
    for (const { segment, index, count } of rowPieces(kernel.memory, head.tenant, 2048)) m += timed('mark', () => kernel.markEmpty(segment, index, count));
    marked = true;
    console.log(`hour ${((step + 1) / 4).toFixed(2)} rows ${before} -> ${kernel.rowCount} (marked ${m}) used MiB ${(kernel.usedBytes / 2 ** 20).toFixed(0)} bump MiB ${((kernel.memory.word(L.BUMP) - L.ARENA) / 2 ** 20).toFixed(0)} free ${(kernel.memory.word(L.FREE_BYTES) / 2 ** 20).toFixed(0)} longest ms ${JSON.stringify(pause, (_, v) => typeof v === 'number' ? +v.toFixed(2) : v)} total ms ${JSON.stringify(total, (_, v) => typeof v === 'number' ? +v.toFixed(0) : v)}`);
    pause = { mark: 0, collect: 0, free: 0, drop: 0, redefine: 0 }; total = { mark: 0, collect: 0, free: 0, drop: 0, redefine: 0 };
  }
}
