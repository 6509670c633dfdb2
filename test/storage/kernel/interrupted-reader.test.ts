/** A reader that is interrupted by the writer between any two of its reads: it returns what was before or what is after. */
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import type { HeadView } from '../../../storage/head/head-view.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { Seeded } from '../../support/seeded.ts';
import { labelField, sampleField, seriesField } from '../../support/wire-writer.ts';
import { LATEST_MS } from './random-request.ts';
import { readRow, START_MS, TestHead, WINDOW_MS } from './test-head.ts';

const WINDOW = START_MS / WINDOW_MS;
const values = new Seeded(1);

function write(head: TestHead, name: string, times: readonly number[]): void {
  const samples = times.map((time) => sampleField(time, values.bits64()));
  head.write(compressSync(Uint8Array.from(seriesField(labelField('__name__', name), ...samples))), LATEST_MS);
}

function steps(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => START_MS + (from + i) * 15_000);
}

/** Other series take what was freed and write over it. */
function reuse(head: TestHead): void {
  for (let i = 0; i < 12; i++) write(head, `other${i}`, steps(0, 400));
  for (let i = 0; i < 12; i++) write(head, `other${i}`, steps(481, 3));
}

/** One series with closed chunks in a sealed generation and after it, an open chunk and a late one. */
function prepared(): { head: TestHead; row: number; generation: number } {
  const head = new TestHead({ budgetBytes: 16 * 1024 * 1024 });
  write(head, 'read', steps(1, 290));
  const generation = head.kernel.seal(head.tenant, WINDOW);
  write(head, 'read', steps(300, 130));
  write(head, 'read', steps(480, 20));
  write(head, 'read', [...steps(430, 5), ...steps(440, 5)]);
  const [row] = head.view.list(head.tenant + L.TENANT_ROWS);
  return { head, row: row as number, generation };
}

/** Runs `action` before the `at`th read of the memory; says whether there were so many reads. */
function interrupt(view: HeadView, at: number, action: () => void): () => boolean {
  const { memory } = view;
  let reads = 0;
  const counted =
    <A extends unknown[], R>(read: (...args: A) => R) =>
    (...args: A): R => {
      if (reads++ === at) action();
      return read.apply(memory, args);
    };
  Object.assign(memory, {
    bytes: counted(memory.bytes),
    word: counted(memory.word),
    long: counted(memory.long),
    loadWord: counted(memory.loadWord),
    loadPair: counted(memory.loadPair),
  });
  return () => reads > at;
}

test.each<readonly [string, (head: TestHead, generation: number) => void]>([
  ['appends', (head) => write(head, 'read', steps(500, 1))],
  [
    'appends until the buffer grows, and others take the old one',
    (head) => {
      write(head, 'read', steps(500, 60));
      reuse(head);
    },
  ],
  ['appends until the chunk is closed', (head) => write(head, 'read', steps(500, 101))],
  ['puts a sample into the middle of the late chunk', (head) => write(head, 'read', steps(436, 1))],
  [
    'closes the late chunk',
    (head) => {
      write(head, 'read', steps(0, 1));
      write(head, 'read', steps(700, 1));
    },
  ],
  [
    'takes the sealed generation out, and others take its place',
    (head, generation) => {
      head.dropSealed(WINDOW, generation);
      reuse(head);
    },
  ],
  [
    'takes everything out, and others take its place',
    (head, generation) => {
      head.dropSealed(WINDOW, generation);
      for (const window of [WINDOW, WINDOW + 1]) head.dropSealed(window, head.kernel.seal(head.tenant, window));
      reuse(head);
    },
  ],
])('the writer %s', (_, action) => {
  for (let at = 0; ; at++) {
    const { head, row, generation } = prepared();
    const before = readRow(head.view, row);
    // The reader's view of the memory is not the writer's.
    const wasReached = interrupt(head.view, at, () => action(head, generation));
    const seen = readRow(head.view, row);
    if (!wasReached()) {
      expect(at).toBeGreaterThan(20);
      return;
    }
    const after = readRow(head.view, row);
    expect([before, after], `before read ${at}`).toContainEqual(seen);
  }
});
