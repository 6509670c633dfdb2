/** Random remote write 2.0 requests: what senders may write, in every spelling that the wire format allows. */
import type { Seeded } from '../../support/seeded.ts';
import { type Bytes, bytesField, fixed64Field, sampleField, varint, varintField } from '../../support/wire-writer.ts';
import { randomHistogram } from './random-item.ts';
import { randomTime, randomValue, unknownField } from './random-request.ts';
import { START_MS, WINDOW_MS } from './test-head.ts';

const NAMES = ['job', 'instance', 'é', '__proto__', 'le', 'Z'];

/** The symbols of a request, in the order of their first use or in any other. */
class SymbolList {
  readonly texts: Uint8Array[] = [new Uint8Array(0)];
  readonly #refs = new Map<string, number>([['', 0]]);

  ref(text: string | Uint8Array): number {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    const key = Buffer.from(bytes).toString('latin1');
    const known = this.#refs.get(key);
    if (known !== undefined) return known;
    this.#refs.set(key, this.texts.length);
    return this.texts.push(bytes) - 1;
  }
}

function randomRefs(random: Seeded, symbols: SymbolList): number[] {
  const labels: [string | Uint8Array, string | Uint8Array][] = [['__name__', `m${random.below(8)}`]];
  for (const name of NAMES) if (random.chance(0.3)) labels.push([name, random.pick(['', 'a', 'ß', 'x'.repeat(40)])]);
  if (random.chance(0.02)) labels.push(['job', 'twice'], ['job', 'twice']);
  if (random.chance(0.02)) labels.push(['', 'v']);
  if (random.chance(0.02)) labels.push(['bad', Uint8Array.from([0xff])]);
  if (random.chance(0.02)) labels.push(['long', 'y'.repeat(random.pick([16_384, 16_385, 70_000]))]);
  if (random.chance(0.02)) labels.shift();
  if (random.chance(0.3)) random.shuffle(labels);
  const refs = labels.flatMap(([name, value]) => [symbols.ref(name), symbols.ref(value)]);
  if (random.chance(0.01)) refs.push(random.pick([0, 1]));
  if (random.chance(0.02))
    refs.splice(random.below(refs.length + 1), 0, random.pick([symbols.texts.length + 500, 2 ** 32 - 1, 77]), 0);
  // The same labels again and again: more refs than a key has room for, and more labels than a series may have.
  if (random.chance(0.01))
    for (let i = 0; i < 200; i++) refs.push(symbols.ref(`l${i}`), symbols.ref(random.pick(['', 'v'])));
  return refs;
}

/** Label refs: packed, one by one, in pieces, or longer than they need be. */
function refFields(random: Seeded, refs: readonly number[]): Bytes[] {
  const spelling = random.below(10);
  if (spelling === 0) return refs.map((ref) => varintField(1, ref));
  if (spelling === 1) {
    const cut = random.below(refs.length + 1);
    return [packed(refs.slice(0, cut)), packed(refs.slice(cut))];
  }
  if (spelling === 2)
    return [
      bytesField(
        1,
        refs.flatMap((ref) => [...longVarint(ref, random.between(1, 4))]),
      ),
    ];
  if (spelling === 3)
    return [
      bytesField(
        1,
        refs.flatMap((ref) => [...varint(BigInt(ref) + 2n ** 32n)]),
      ),
    ];
  return [packed(refs)];
}

function packed(refs: readonly number[]): Bytes {
  return bytesField(
    1,
    refs.flatMap((ref) => [...varint(ref)]),
  );
}

/** A varint with bytes that add nothing. */
function longVarint(value: number, more: number): Bytes {
  const bytes = [...varint(value)];
  bytes[bytes.length - 1] = (bytes.at(-1) as number) | 128;
  return [...bytes, ...Array<number>(more - 1).fill(128), 0];
}

function randomSample(random: Seeded): Bytes {
  const [time, value] = [randomTime(random), randomValue(random)];
  const start = varintField(3, random.pick([0, 1, START_MS, -5]));
  const spelling = random.below(10);
  if (spelling === 0) return bytesField(2, [...start, ...varintField(2, time), ...fixed64Field(1, value)]);
  if (spelling === 1)
    return bytesField(2, [...unknownField(random), ...fixed64Field(1, value), ...varintField(2, time), ...start]);
  if (spelling === 2) return bytesField(2, varintField(2, time));
  if (spelling < 6) return bytesField(2, [...fixed64Field(1, value), ...varintField(2, time), ...start]);
  return sampleField(time, value);
}

function randomMetadata(random: Seeded, symbols: SymbolList): Bytes {
  const badRef = symbols.texts.length + 1000;
  const help = random.chance(0.02) ? badRef : symbols.ref(random.pick(['', 'what it counts', 'what it measures, é']));
  const unit = random.chance(0.02) ? badRef : symbols.ref(random.pick(['', 'seconds']));
  const fields = [
    varintField(1, random.pick([0, 1, 2, 3, 5, 250, 2 ** 33])),
    varintField(3, help),
    varintField(4, unit),
    unknownField(random),
  ].filter(() => random.chance(0.8));
  return bytesField(5, (random.chance(0.2) ? random.shuffle(fields) : fields).flat());
}

function randomExemplar(random: Seeded, symbols: SymbolList): Bytes {
  const values = ['', '4711', 'é', 'x'.repeat(130), Uint8Array.of(0xff)];
  const refs = random.chance(0.05) ? [random.pick([0, 9999])] : [symbols.ref('trace_id'), symbols.ref('4711')];
  if (random.chance(0.2))
    refs.push(symbols.ref(random.pick(['span_id', 'trace_id', ''])), symbols.ref(random.pick(values)));
  return bytesField(4, [
    ...packed(refs),
    ...fixed64Field(2, randomValue(random)),
    ...varintField(3, randomTime(random)),
  ]);
}

function randomSeries(random: Seeded, symbols: SymbolList): Bytes {
  const labels = refFields(random, randomRefs(random, symbols));
  const isHistogram = random.chance(0.05);
  const samples = isHistogram
    ? [bytesField(3, randomHistogram(random, randomTime(random)))]
    : Array.from({ length: random.pick([0, 1, 1, 1, 1, 2, 5, 30]) }, () => randomSample(random));
  if (!isHistogram && random.chance(0.4)) {
    // As from a scrape: times rise.
    const start = START_MS + random.below(3) * WINDOW_MS + random.below(WINDOW_MS);
    for (let i = 0; i < random.pick([1, 20, 150]); i++)
      samples.push(sampleField(start + i * 15_000, randomValue(random)));
  }
  if (random.chance(0.02)) samples.push(bytesField(3, randomHistogram(random, randomTime(random))));
  const extras: Bytes[] = [];
  if (random.chance(0.1)) extras.push(randomExemplar(random, symbols));
  if (random.chance(0.6)) extras.push(randomMetadata(random, symbols));
  if (random.chance(0.05)) extras.push(randomMetadata(random, symbols));
  if (random.chance(0.1)) extras.push(unknownField(random));
  const order = random.below(6);
  if (order === 0) return bytesField(5, [...samples, ...labels, ...extras].flat());
  if (order === 1) return bytesField(5, random.shuffle([...labels, ...samples, ...extras]).flat());
  return bytesField(5, [...labels, ...samples, ...extras].flat());
}

/** A request before compression. */
export function randomRequestV2(random: Seeded): Uint8Array {
  const symbols = new SymbolList();
  // Another order of symbols than that of their use, and symbols that nobody uses.
  if (random.chance(0.3)) for (const name of random.shuffle([...NAMES, 'a', 'unused'])) symbols.ref(name);
  const length = random.chance(0.06) ? 80 : random.pick([0, 1, 3, 10]);
  const series = Array.from({ length }, () => randomSeries(random, symbols));
  const texts = symbols.texts.map((text) => bytesField(4, text));
  const fields = random.chance(0.1) ? spread(random, texts, series) : [...texts, ...series];
  if (random.chance(0.1)) fields.push(unknownField(random));
  return Uint8Array.from(fields.flat());
}

/** The symbols in their order, with series between and before them. */
function spread(random: Seeded, texts: readonly Bytes[], series: readonly Bytes[]): Bytes[] {
  const fields = [...series];
  let at = 0;
  for (const text of texts) {
    at = random.between(at, fields.length);
    fields.splice(at++, 0, text);
  }
  return fields;
}
