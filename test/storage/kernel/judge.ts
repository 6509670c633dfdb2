/** The kernel and its oracles side by side: both get a body, and must refuse it or store and answer the same. */
import { deepStrictEqual, fail, match, ok, strictEqual } from 'node:assert/strict';
import type { Outcome, Protocol } from '../../../storage/kernel/kernel.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { StorageError } from '../../../storage/lib/errors.ts';
import { decodeHistogramMessage } from '../../../storage/model/histogram-message.ts';
import type { HeadModel, ModelItem, ModelOutcome } from '../../support/oracle/head-model.ts';
import { decodeSnappyBlock } from '../../support/oracle/snappy-block.ts';
import { readWriteRequest } from '../../support/oracle/write-request.ts';
import { readWriteRequestV2, type WholeProblem } from '../../support/oracle/write-request-v2.ts';
import { LATEST_MS } from './random-request.ts';
import type { TestHead } from './test-head.ts';

const REASONS: ReadonlyMap<string, number> = new Map([
  ['no-name', L.REJECT_NO_NAME],
  ['empty-name', L.REJECT_EMPTY_NAME],
  ['duplicate', L.REJECT_DUPLICATE_LABEL],
  ['not-utf8', L.REJECT_NOT_UTF8],
  ['too-many-labels', L.REJECT_TOO_MANY_LABELS],
  ['name-too-long', L.REJECT_NAME_TOO_LONG],
  ['value-too-long', L.REJECT_VALUE_TOO_LONG],
  ['series-too-long', L.REJECT_SERIES_TOO_LONG],
  ['negative', L.REJECT_NEGATIVE_TIME],
  ['future', L.REJECT_FUTURE],
  ['windows', L.REJECT_WINDOWS],
  ['range', L.REJECT_TIME_RANGE],
  ['unit', L.REJECT_TIME_UNIT],
  ['histogram', L.REJECT_HISTOGRAM],
  ['symbol-ref', L.REJECT_SYMBOL_REF],
  ['series-limit', L.REJECT_SERIES_LIMIT],
  ['odd-refs', L.REJECT_ODD_REFS],
  ['both-kinds', L.REJECT_BOTH_KINDS],
]);
const WHOLE_PROBLEMS: Readonly<Record<WholeProblem, RegExp | string>> = {
  damaged: /^protobuf: .+ at byte \d+$/,
  'first-symbol': 'symbols[0] must be empty string',
  'older-version': /^symbols\[0\] must be "": /,
};

const DROPPED: ReadonlyMap<string, number> = new Map([
  ['series', L.EXEMPLAR_SERIES],
  ['labels', L.EXEMPLAR_BAD_LABELS],
  ['too-long', L.EXEMPLAR_TOO_LONG],
  ['not-utf8', L.EXEMPLAR_NOT_UTF8],
  ['time', L.EXEMPLAR_TIME],
  ['windows', L.EXEMPLAR_WINDOWS],
]);

/** What became of a body: 'unpacked' says that it was refused behind the decompression. */
export type Verdict = 'not-unpacked' | 'unpacked' | 'stored';

/** Lets the kernel and the model take a body; throws AssertionError where they differ. */
export function judge(
  head: TestHead,
  tenant: number,
  model: HeadModel,
  body: Uint8Array,
  protocol: Protocol = 'v1',
): Verdict {
  const unpacked = decodeSnappyBlock(body, L.MAX_BODY_BYTES);
  if (unpacked.kind !== 'decoded') {
    const text =
      unpacked.kind === 'too-long' ? /^snappy: declared length/ : `snappy: corrupt input at byte ${unpacked.at}`;
    expectRefused(head, tenant, body, protocol, unpacked.kind === 'too-long' ? 'limit' : 'invalid', text);
    return 'not-unpacked';
  }
  const series =
    protocol === 'v1' ? (readWriteRequest(unpacked.bytes) ?? 'damaged') : readWriteRequestV2(unpacked.bytes);
  if (typeof series === 'string') {
    expectRefused(head, tenant, body, protocol, 'invalid', WHOLE_PROBLEMS[series]);
    return 'unpacked';
  }
  const { status, outcome } = head.write(body, LATEST_MS, tenant, protocol);
  strictEqual(status, L.APPLIED);
  deepStrictEqual(counts(outcome), counts(model.apply(series, LATEST_MS)));
  return 'stored';
}

function expectRefused(
  head: TestHead,
  tenant: number,
  body: Uint8Array,
  protocol: Protocol,
  kind: StorageError['kind'],
  text: RegExp | string,
): void {
  const before = stateOf(head);
  try {
    head.kernel.receive(tenant, body, { protocol });
  } catch (error) {
    ok(error instanceof StorageError, String(error));
    strictEqual(error.kind, kind);
    if (typeof text === 'string') strictEqual(error.message, text);
    else match(error.message, text);
    deepStrictEqual(stateOf(head), before);
    return;
  }
  fail('the kernel took what the oracle refuses');
}

/** Throws AssertionError unless the head shows what the model has, bit by bit. */
export function expectSame(head: TestHead, tenant: number, model: HeadModel): void {
  deepStrictEqual(bitsByTime(head.content(tenant)), bitsByTime(model.series));
  deepStrictEqual(textOfItems(head.items(tenant)), textOfItems(itemsOf(model)));
  deepStrictEqual(head.starts(tenant), startsOf(model));
  expectReadable(head, tenant);
}

/** What the kernel took, the cut and the reads can make sense of: one histogram that they cannot would hold up its cut. */
function expectReadable(head: TestHead, tenant: number): void {
  for (const items of head.items(tenant).values())
    for (const { kind, timeMs, bytes } of items) {
      if (kind !== L.KIND_HISTOGRAM && kind !== L.KIND_FLOAT_HISTOGRAM) continue;
      const run = decodeHistogramMessage(bytes);
      strictEqual(run.isFloat, kind === L.KIND_FLOAT_HISTOGRAM);
      strictEqual(run.timestamps[0], timeMs);
    }
}

/** Everything that a refused body must leave as it was. */
export function stateOf({ kernel }: TestHead): object {
  return {
    head: kernel.memory.loadWord(L.WAL_HEAD),
    sequence: kernel.nextSequence,
    used: kernel.usedBytes,
    rows: kernel.rowCount,
  };
}

/** The counts of an outcome, in one form for the kernel and the model. */
export function counts(outcome: Outcome | ModelOutcome): object {
  const { received, stored, duplicates, conflicts, newSeries, emptySeries, rejected } = outcome;
  const { histograms, exemplars, exemplarsStored } = outcome;
  const byReason = new Map<number, number>();
  if (rejected instanceof Map)
    for (const [reason, samples] of rejected) byReason.set(REASONS.get(reason) as number, samples);
  else for (const { reason, samples } of rejected as Outcome['rejected']) byReason.set(reason, samples);
  const sorted = [...byReason].sort(([a], [b]) => a - b);
  const dropped =
    'dropped' in outcome
      ? [...outcome.dropped].map(([reason, count]) => [DROPPED.get(reason) as number, count] as const)
      : outcome.exemplarsDropped.map(({ reason, exemplars: count }) => [reason, count] as const);
  return {
    ...{ received, stored, duplicates, conflicts, newSeries, emptySeries, rejected: sorted },
    ...{ histograms, exemplars, exemplarsStored, dropped: dropped.toSorted(([a], [b]) => a - b) },
  };
}

/** All that a head shows of a tenant, generations left out: another head numbers them as it meets their windows. */
export function shownBy(head: TestHead, tenant: number): object {
  const bits = bitsByTime(head.content(tenant));
  return { bits, items: textOfItems(head.items(tenant)), starts: head.starts(tenant) };
}

/** The start timestamps of a model's floats that have one, by series and time. */
function startsOf(model: HeadModel): Map<string, Map<number, number>> {
  const starts = new Map<string, Map<number, number>>();
  for (const [key, samples] of model.series) {
    const known = [...samples]
      .filter(([, { startMs }]) => startMs !== 0)
      .map(([time, s]) => [time, s.startMs] as const);
    if (known.length > 0) starts.set(key, new Map(known.toSorted(([a], [b]) => a - b)));
  }
  return starts;
}

/** The items of a model by series. */
export function itemsOf(model: HeadModel): Map<string, ModelItem[]> {
  return new Map([...model.items].map(([key, items]) => [key, [...items.values()]]));
}

/** Histograms and exemplars in one form and order, by series that have some. */
export function textOfItems(
  items: ReadonlyMap<string, readonly { kind: number; timeMs: number; bytes: Uint8Array; generation: number }[]>,
  isSealed: (generation: number) => boolean = () => false,
): Map<string, string[]> {
  const plain = new Map<string, string[]>();
  for (const [key, list] of items) {
    const texts = list
      .filter(({ kind }) => kind !== L.KIND_START)
      .map(({ kind, timeMs, bytes, generation }) => {
        const within = isSealed(generation) ? generation : 0;
        return `${timeMs} ${kind} ${Buffer.from(bytes).toString('hex')} in ${within}`;
      });
    if (texts.length > 0) plain.set(key, texts.toSorted());
  }
  return plain;
}

/** Series with their bits, as the head and the model show them. */
function bitsByTime(
  series: ReadonlyMap<string, ReadonlyMap<number, { bits: bigint }>>,
): Map<string, Map<number, bigint>> {
  const plain = new Map<string, Map<number, bigint>>();
  for (const [key, samples] of series)
    plain.set(key, new Map([...samples].sort(([a], [b]) => a - b).map(([t, { bits }]) => [t, bits])));
  return plain;
}
