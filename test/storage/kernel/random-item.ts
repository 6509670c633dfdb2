/** Random histograms and exemplars as messages: sound ones in every spelling, and ones that break a rule. */
import type { Seeded } from '../../support/seeded.ts';
import { STALE } from '../../support/series.ts';
import { type Bytes, bytesField, fixed64Field, labelField, varint, varintField } from '../../support/wire-writer.ts';

function bitsOf(value: number): bigint {
  return new BigUint64Array(Float64Array.of(value).buffer)[0] as bigint;
}

function zigzag(value: bigint | number): bigint {
  const number = BigInt(value);
  return number < 0n ? -number * 2n - 1n : number * 2n;
}

interface Side {
  spans: [offset: number, length: number][];
  counts: number[];
}

/** The numbers of a histogram; a sound one, until something is changed. */
interface Histogram {
  isFloat: boolean;
  schema: number;
  zeroThreshold: number;
  zeroCount: number;
  count: number;
  sum: bigint;
  hint: number;
  start: bigint;
  bounds: number[];
  positive: Side;
  negative: Side;
}

function randomSide(random: Seeded, first: number): Side {
  const spans = Array.from({ length: random.pick([0, 1, 1, 2, 4]) }, (_, i): [number, number] => [
    i === 0 ? first : random.below(9),
    random.below(5),
  ]);
  const buckets = spans.reduce((sum, [, length]) => sum + length, 0);
  return { spans, counts: Array.from({ length: buckets }, () => random.pick([0, 1, 7, 300, random.below(2 ** 31)])) };
}

function randomSound(random: Seeded): Histogram {
  const isCustom = random.chance(0.25);
  const positive = randomSide(random, isCustom ? random.below(4) : random.between(-40, 40));
  const negative = isCustom ? { spans: [], counts: [] } : randomSide(random, random.between(-40, 40));
  const covered = positive.spans.reduce((sum, [offset, length]) => sum + offset + length, 0);
  const zeroCount = isCustom ? 0 : random.pick([0, 0, 3, random.below(2 ** 40)]);
  const observed = [...positive.counts, ...negative.counts].reduce((a, b) => a + b, zeroCount);
  return {
    isFloat: random.chance(0.4),
    schema: isCustom ? -53 : random.between(-4, 8),
    zeroThreshold: isCustom ? 0 : random.pick([0, 2 ** -128, 0.001]),
    zeroCount,
    count: observed,
    sum: random.pick([bitsOf(0), bitsOf(17.25), bitsOf(-1), bitsOf(Number.POSITIVE_INFINITY), STALE]),
    hint: random.pick([0, 0, 1, 2, 3]),
    start: random.pick([0n, 0n, 1n, 1_763_000_000_000n]),
    bounds: isCustom ? Array.from({ length: Math.max(0, covered - 1) + random.below(3) }, (_, i) => i * 0.5 - 3) : [],
    positive,
    negative,
  };
}

/** Each breaks a rule, if the histogram has what it is about. */
const FLAWS: readonly ((h: Histogram, random: Seeded) => void)[] = [
  (h) => {
    h.count += 1;
  },
  (h) => {
    h.sum = bitsOf(Number.NaN);
    h.count = Math.max(0, h.count - 1);
  },
  (h, random) => {
    h.schema = random.pick([9, -5, 52, -9, 127, -54, -52, 2 ** 31 - 1]);
  },
  (h) => {
    h.positive.spans.push([-1, 0]);
  },
  (h, random) => {
    h.positive.spans.push([0, random.pick([1, 2 ** 31, 2 ** 32 - 1])]);
  },
  (h) => {
    h.negative.spans.push([1, 1]);
  },
  (h) => {
    h.positive.counts[0] = -1;
    h.positive.spans = [[0, h.positive.counts.length]];
  },
  (h) => {
    h.negative.counts = [4, -2];
    h.negative.spans = [[0, 2]];
  },
  (h) => {
    h.zeroCount = -1;
    h.isFloat = true;
  },
  (h, random) => {
    h.count = random.pick([Number.NaN, -1, Number.NEGATIVE_INFINITY]);
    h.isFloat = true;
  },
  (h, random) => {
    h.bounds = random.pick([[1, 1], [2, 1], [Number.NaN], [Number.POSITIVE_INFINITY], [1, Number.NaN], [], [-0, 0]]);
  },
  (h) => {
    h.schema = -53;
  },
  (h, random) => {
    h.hint = random.pick([4, 2 ** 31]);
  },
  (h, random) => {
    h.start = random.pick([-1n, 2n ** 53n, 2n ** 53n + 1n, -(2n ** 63n)]);
  },
];

function sideFields(random: Seeded, { spans, counts }: Side, isFloat: boolean, field: number): Bytes[] {
  const fields = spans.map(([offset, length]) => {
    const parts = [varintField(1, zigzag(offset)), varintField(2, length)];
    if (offset === 0 && random.chance(0.5)) parts.shift();
    return bytesField(field, (random.chance(0.1) ? parts.toReversed() : parts).flat());
  });
  const deltas = counts.map((count, i) => zigzag(count - (i === 0 ? 0 : (counts[i - 1] as number))));
  const list = isFloat ? counts.map((count) => fixed64Field(1, bitsOf(count)).slice(1)) : deltas.map((d) => varint(d));
  const number = field + (isFloat ? 2 : 1);
  if (random.chance(0.1)) {
    const wireType = isFloat ? 1 : 0;
    return [...fields, ...list.map((bytes) => [...varint(number * 8 + wireType), ...bytes])];
  }
  const cut = random.chance(0.1) ? random.below(list.length + 1) : list.length;
  for (const part of [list.slice(0, cut), list.slice(cut)])
    if (part.length > 0 || random.chance(0.05)) fields.push(bytesField(number, part.flat()));
  return fields;
}

/** The message of a histogram; one in four breaks a rule, some of them several. */
export function randomHistogram(random: Seeded, timestampMs: bigint | number): Bytes {
  const h = randomSound(random);
  if (random.chance(0.25)) for (let flaws = random.pick([1, 1, 2]); flaws > 0; flaws--) random.pick(FLAWS)(h, random);
  const { isFloat } = h;
  const whole = (value: number): bigint => BigInt(Number.isFinite(value) ? value : 0);
  const fields: Bytes[] = [
    isFloat ? fixed64Field(2, bitsOf(h.count)) : varintField(1, whole(h.count)),
    fixed64Field(3, h.sum),
    varintField(4, zigzag(h.schema)),
    fixed64Field(5, bitsOf(h.zeroThreshold)),
    ...sideFields(random, h.negative, isFloat, 8),
    ...sideFields(random, h.positive, isFloat, 11),
    varintField(14, h.hint),
    varintField(15, timestampMs),
  ];
  if (h.zeroCount !== 0 || random.chance(0.5))
    fields.push(isFloat ? fixed64Field(7, bitsOf(h.zeroCount)) : varintField(6, whole(h.zeroCount)));
  if (h.start !== 0n) fields.push(varintField(17, h.start));
  if (h.bounds.length > 0)
    fields.push(
      bytesField(
        16,
        h.bounds.flatMap((bound) => fixed64Field(1, bitsOf(bound)).slice(1)),
      ),
    );
  if (random.chance(0.03)) fields.push(isFloat ? varintField(6, 0) : fixed64Field(7, 0n));
  if (random.chance(0.03)) fields.push(isFloat ? varintField(12, 2) : fixed64Field(13, 0n));
  if (random.chance(0.05)) fields.push(bytesField(random.pick([18, 99]), random.bytes(7)));
  if (random.chance(0.0005)) fields.push(bytesField(99, random.bytes(62_000)));
  return (random.chance(0.1) ? random.shuffle(fields) : fields).flat();
}

const LONG_TEXTS = ['x'.repeat(100), 'ß'.repeat(100), 'x'.repeat(5000)];

/** The message of an exemplar; some have labels that are refused. */
export function randomExemplar(random: Seeded, timestampMs: bigint | number): Bytes {
  const labels = ['trace_id', 'span_id', 'é']
    .filter(() => random.chance(0.4))
    .map((name) =>
      labelField(name, random.pick(['', 'a', 'é', '0af7651916cd43dd', ...(random.chance(0.1) ? LONG_TEXTS : [])])),
    );
  if (random.chance(0.05)) labels.push(labelField('', 'v'), labelField('job', Uint8Array.of(0xff)));
  if (random.chance(0.05)) labels.push(labelField('twice', 'a'), labelField('twice', 'a'));
  const fields: Bytes[] = random.chance(0.3) ? labels.toReversed() : labels;
  if (random.chance(0.8)) fields.push(fixed64Field(2, bitsOf(random.below(100) / 8)));
  if (random.chance(0.9)) fields.push(varintField(3, timestampMs));
  if (random.chance(0.05)) fields.push(varintField(9, 1));
  return (random.chance(0.1) ? random.shuffle(fields) : fields).flat();
}
