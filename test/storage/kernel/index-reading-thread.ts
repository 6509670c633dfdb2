/** A thread that reads the index of a head while series come and go, and looks for what no state of it may show. */
import { workerData } from 'node:worker_threads';
import { HeadView } from '../../../storage/head/head-view.ts';
import * as L from '../../../storage/kernel/layout.ts';

/** Words: 1 = stop; how many rows were seen in all (mod 2^32); then how often each reader has begun anew. */
export const STOP = 0;
export const ROWS = 1;
export const PASSES = 2;

export interface IndexReadingInit {
  readonly memory: WebAssembly.Memory;
  readonly tenant: number;
  readonly reader: number;
  readonly words: Int32Array;
  /** The value of `pod` of series that are always there. */
  readonly always: string;
  /** How many those are. */
  readonly alwaysRows: number;
}

if (workerData !== null && typeof workerData === 'object' && 'always' in workerData)
  read(workerData as IndexReadingInit);

function read({ memory, tenant, reader, words, always, alwaysRows }: IndexReadingInit): void {
  const view = new HeadView(memory, reader);
  while (Atomics.load(words, STOP) === 0) {
    // Nothing that was found before is looked at any more.
    Atomics.add(words, PASSES + reader, 1);
    for (const row of view.list(tenant + L.TENANT_ROWS)) labelsOf(view, row);
    for (let name = view.memory.loadWord(tenant + L.TENANT_NAMES); name !== 0; ) {
      readName(view, name, words);
      name = view.memory.word(name + L.NAME_NEXT);
    }
    const found = view.list(view.pair(view.name(tenant, 'pod'), always) + L.PAIR_ROWS);
    const filled = found.filter((row) => view.hasChunk(row, () => true));
    if (filled.length !== alwaysRows) throw new Error(`${filled.length} of ${alwaysRows} rows of ${always}`);
  }
}

function readName(view: HeadView, name: number, words: Int32Array): void {
  const nameText = view.text(view.memory.word(name + L.NAME_SYMBOL));
  for (const pair of view.list(name + L.NAME_PAIRS)) {
    const value = view.text(view.memory.word(pair + L.PAIR_VALUE));
    const rows = view.list(pair + L.PAIR_ROWS);
    for (const row of rows) {
      const labels = labelsOf(view, row);
      if (labels.get(nameText) !== value) throw new Error(`${nameText}=${value} leads to ${[...labels].join(' ')}`);
    }
    Atomics.add(words, ROWS, rows.length);
  }
}

/** The labels of a row; throws if they are not of one series: each says its pod twice. */
function labelsOf(view: HeadView, row: number): Map<string, string> {
  const flat = view.labels(row);
  const labels = new Map(
    Array.from({ length: flat.length / 2 }, (_, i) => [flat[i * 2] as string, flat[i * 2 + 1] as string]),
  );
  if (labels.get('copy') !== labels.get('pod') || !labels.has('__name__'))
    throw new Error(`no series: ${flat.join(' ')}`);
  return labels;
}
