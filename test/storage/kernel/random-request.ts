/** Random remote write requests: what senders may write, in every spelling that the wire format allows. */
import type { Seeded } from '../../support/seeded.ts';
import { STALE } from '../../support/series.ts';
import {
  type Bytes,
  bytesField,
  fixed32Field,
  fixed64Field,
  labelField,
  sampleField,
  seriesField,
  varintField,
} from '../../support/wire-writer.ts';
import { randomExemplar, randomHistogram } from './random-item.ts';
import { START_MS, WINDOW_MS } from './test-head.ts';

/** Samples later than this are rejected. */
export const LATEST_MS: number = START_MS + 5 * WINDOW_MS;

const float = new Float64Array(1);
const bits = new BigUint64Array(float.buffer);

/** The bits of a number. */
export function bitsOf(value: number): bigint {
  float[0] = value;
  return bits[0] as bigint;
}

const SPECIAL: readonly bigint[] = [
  STALE,
  0x7ff8000000000001n, // Go's NaN
  0xfff8000000000000n,
  0x7ff0000000000001n, // signalling
  0xffffffffffffffffn,
  0x8000000000000000n, // −0
  0n,
  1n, // the smallest denormal
  0x800fffffffffffffn,
  bitsOf(Number.POSITIVE_INFINITY),
  bitsOf(Number.NEGATIVE_INFINITY),
  bitsOf(2 ** 53),
  bitsOf(-(2 ** 53) + 1),
  bitsOf(2 ** 53 / 1000),
  bitsOf(Number.MAX_VALUE),
];

/** Bits of all kinds that values have. */
export function randomValue(random: Seeded): bigint {
  const kind = random.below(7);
  if (kind === 0) return random.pick(SPECIAL);
  if (kind === 1) return random.bits64();
  if (kind === 2) return bitsOf(random.below(100));
  if (kind === 3) return bitsOf(random.between(-(2 ** 31), 2 ** 31));
  if (kind === 4) return bitsOf(random.between(-(10 ** 6), 10 ** 6) / random.pick([10, 100, 1000, 10_000]));
  if (kind === 5) return bitsOf(random.next() * 10 ** random.between(-300, 300));
  return bitsOf(random.pick([1, 0.1, 42.5, 1e15, 1.7e18, -7]));
}

/** Fields that no version of the protocol has, of every wire type. */
export function unknownField(random: Seeded, from = 6): Bytes {
  const number = random.pick([from, from + 1, 15, 16, 1000, 2 ** 29 - 1]);
  const kind = random.below(4);
  if (kind === 0) return varintField(number, random.bits64());
  if (kind === 1) return fixed64Field(number, random.bits64());
  if (kind === 2) return fixed32Field(number, random.below(2 ** 32));
  return bytesField(number, random.bytes(random.below(30)));
}

const NAMES = ['job', 'instance', 'é', '__proto__', 'le', 'Z'];

function randomLabels(random: Seeded): Bytes[] {
  const labels: [string, string][] = [['__name__', `m${random.below(8)}`]];
  for (const name of NAMES) if (random.chance(0.3)) labels.push([name, random.pick(['', 'a', 'ß', 'x'.repeat(40)])]);
  if (random.chance(0.02)) labels.push(['job', 'twice'], ['job', 'twice']);
  if (random.chance(0.02)) labels.push(['', 'v']);
  if (random.chance(0.02)) labels.shift();
  if (random.chance(0.6)) labels.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  else random.shuffle(labels);
  const fields = labels.map(([name, value]) => {
    const spelling = random.below(12);
    const parts = [bytesField(1, Buffer.from(name)), bytesField(2, Buffer.from(value))];
    if (spelling === 0) return bytesField(1, [...(parts[1] as Bytes), ...(parts[0] as Bytes)]);
    if (spelling === 1) return bytesField(1, [...bytesField(2, [65]), ...bytesField(1, [66]), ...parts.flat()]);
    if (spelling === 2) return bytesField(1, [...unknownField(random, 3), ...parts.flat(), ...unknownField(random, 3)]);
    return labelField(name, value);
  });
  if (random.chance(0.02)) fields.push(labelField('bad', random.pick(BAD_UTF8)));
  return fields;
}

const BAD_UTF8 = [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf4, 0x90, 0x80, 0x80], [0x80]].map(
  (bytes) => Uint8Array.from(bytes),
);

const NOW_MS = BigInt(LATEST_MS - 600_000);
/** About where a time is taken for one in seconds, microseconds or nanoseconds, and where doubles end. */
const ODD_TIMES: readonly bigint[] = [
  ...[-86_400_000n, 0n, 86_400_000n].flatMap((distance) => [
    (NOW_MS + distance) / 1000n,
    (NOW_MS + distance) * 1000n,
    (NOW_MS + distance) * 1_000_000n,
  ]),
  2n ** 53n,
];

export function randomTime(random: Seeded): bigint {
  const kind = random.below(60);
  if (kind === 3) return random.pick(ODD_TIMES) + BigInt(random.between(-2, 2));
  if (kind === 0) return -1n;
  if (kind === 1) return BigInt(LATEST_MS) + 1n;
  if (kind === 2) return random.pick([2n ** 63n - 1n, -(2n ** 63n), 0n]);
  const step = random.pick([1, 7, 1000, 15_000]);
  return BigInt(START_MS + random.below(4) * WINDOW_MS + random.below(Math.floor(WINDOW_MS / step)) * step);
}

function randomSample(random: Seeded): Bytes {
  const time = randomTime(random);
  const value = randomValue(random);
  const spelling = random.below(14);
  if (spelling === 0) return bytesField(2, [...varintField(2, time), ...fixed64Field(1, value)]);
  if (spelling === 1)
    return bytesField(2, [...fixed64Field(1, 3n), ...fixed64Field(1, value), ...varintField(2, time)]);
  if (spelling === 2) return bytesField(2, [...varintField(2, 5), ...fixed64Field(1, value), ...varintField(2, time)]);
  if (spelling === 3)
    return bytesField(2, [
      ...unknownField(random, 3),
      ...fixed64Field(1, value),
      ...varintField(2, time),
      ...unknownField(random, 3),
    ]);
  if (spelling === 4 && random.chance(0.3)) return bytesField(2, varintField(2, time));
  return sampleField(time, value);
}

function randomSeries(random: Seeded): Bytes {
  const labels = randomLabels(random);
  const samples = Array.from({ length: random.pick([0, 1, 1, 1, 2, 5, 30]) }, () => randomSample(random));
  if (random.chance(0.4)) {
    // As from a scrape: times rise.
    const start = START_MS + random.below(3) * WINDOW_MS + random.below(WINDOW_MS);
    for (let i = 0; i < random.pick([1, 20, 150]); i++)
      samples.push(sampleField(start + i * 15_000, randomValue(random)));
  }
  for (let more = random.pick([0, 0, 0, 0, 1, 4]); more > 0; more--)
    samples.splice(random.below(samples.length + 1), 0, bytesField(3, randomExemplar(random, randomTime(random))));
  for (let more = random.pick([0, 0, 0, 0, 1, 8]); more > 0; more--)
    samples.splice(random.below(samples.length + 1), 0, bytesField(4, randomHistogram(random, randomTime(random))));
  const extras = random.chance(0.1) ? [unknownField(random)] : [];
  const order = random.below(6);
  if (order === 0) return seriesField(...samples, ...labels, ...extras);
  if (order === 1) return seriesField(...random.shuffle([...labels, ...samples, ...extras]));
  if (order === 2) return seriesField(...labels.slice(0, 1), ...samples, ...labels.slice(1));
  return seriesField(...labels, ...extras, ...samples);
}

/** What is said of a metric family, in any spelling. */
function randomFamily(random: Seeded): Bytes {
  const fields = [
    varintField(1, random.pick([0, 1, 4, 250, 2 ** 35])),
    bytesField(2, Buffer.from(random.pick(['up', 'é', '']))),
    bytesField(4, random.bytes(random.below(20))),
    bytesField(5, Buffer.from('seconds')),
    unknownField(random),
  ].filter(() => random.chance(0.8));
  return bytesField(3, random.shuffle(fields).flat());
}

/** A request before compression. */
export function randomRequest(random: Seeded): Uint8Array {
  // The long ones mix series so that none follows the one that it followed before.
  const length = random.chance(0.06) ? 80 : random.pick([0, 1, 3, 10]);
  const fields = Array.from({ length }, () => randomSeries(random));
  if (random.chance(0.2)) fields.push(randomFamily(random));
  if (random.chance(0.1)) fields.push(unknownField(random));
  return Uint8Array.from(random.shuffle(fields).flat());
}
