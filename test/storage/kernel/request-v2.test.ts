import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import * as L from '../../../storage/kernel/layout.ts';
import { HeadModel, metadataKey } from '../../support/oracle/head-model.ts';
import { readFamilies, type WireSeries } from '../../support/oracle/write-request.ts';
import { readWriteRequestV2 } from '../../support/oracle/write-request-v2.ts';
import type { Bits64 } from '../../support/protocol.ts';
import { Seeded } from '../../support/seeded.ts';
import {
  type Bytes,
  bytesField,
  labelField,
  sampleField,
  seriesField,
  varint,
  varintField,
} from '../../support/wire-writer.ts';
import { expectSame, judge, stateOf } from './judge.ts';
import { LATEST_MS, randomRequest } from './random-request.ts';
import { randomRequestV2 } from './random-request-v2.ts';
import { HIGH_ARENA, START_MS, TestHead } from './test-head.ts';

const symbolsOf = (...texts: string[]): Bytes => texts.flatMap((text) => bytesField(4, Buffer.from(text)));
const refsOf = (...refs: number[]): Bytes =>
  bytesField(
    1,
    refs.flatMap((ref) => [...varint(ref)]),
  );
const seriesOf = (...fields: readonly Bytes[]): Bytes => bytesField(5, fields.flat());
const sample = sampleField(START_MS, 1n);

function write(head: TestHead, ...fields: readonly Bytes[]): ReturnType<TestHead['write']>['outcome'] {
  const { status, outcome } = head.write(compressSync(Uint8Array.from(fields.flat())), LATEST_MS, head.tenant, 'v2');
  expect(status).toBe(L.APPLIED);
  return outcome;
}

/** What the request that was received last told of metrics. */
function told(head: TestHead): string[] {
  return head.kernel
    .metadata()
    .map(({ name, type, help, unit }) => metadataKey(`${Buffer.from(name)}`, type, help, unit));
}

/** The definition in proto/, with texts and values as the bytes they are. */
function wireType(): protobuf.Type {
  const root = protobuf.loadSync(fileURLToPath(new URL('../../../proto/write-v2.proto', import.meta.url)));
  const type = root.lookupType('io.prometheus.write.v2.Request');
  (type.fields.symbols as protobuf.Field).type = 'bytes';
  (root.lookupType('io.prometheus.write.v2.Sample').fields.value as protobuf.Field).type = 'fixed64';
  return type;
}

const WireRequest = wireType();

interface DecodedRequest {
  readonly symbols: readonly Uint8Array[];
  readonly timeseries: readonly {
    readonly labelsRefs: readonly number[];
    readonly samples: readonly { readonly value: Bits64 | number; readonly timestamp: Bits64 | number }[];
  }[];
}

/** What protobufjs reads of series whose refs are sound, as text. */
function readByProtobufjs(bytes: Uint8Array): string[] {
  const { symbols, timeseries } = WireRequest.decode(bytes) as unknown as DecodedRequest;
  const bitsOf = (value: Bits64 | number): bigint =>
    typeof value === 'number' ? 0n : (BigInt(value.high >>> 0) << 32n) | BigInt(value.low >>> 0);
  return timeseries.map(({ labelsRefs, samples }) => {
    const texts = labelsRefs.map((ref) => Buffer.from(symbols[ref] ?? []).toString('hex'));
    return `${texts} ${samples.map(({ value, timestamp }) => `${bitsOf(value)}@${BigInt.asIntN(64, bitsOf(timestamp))}`)}`;
  });
}

function asText({ labels, samples }: WireSeries): string {
  const texts = labels.flat().map((text) => Buffer.from(text).toString('hex'));
  return `${texts} ${samples.map(({ bits, timestampMs }) => `${bits}@${timestampMs}`)}`;
}

test.each([
  ['from the usual address on', {}],
  ['above 2 GiB', { arenaAddress: HIGH_ARENA }],
])(
  'random requests are stored as the model stores them, and what is new of metrics is told, with the arena %s',
  (_, settings) => {
    const head = new TestHead(settings);
    const model = new HeadModel();
    const random = new Seeded(21);
    const heard = new Set<string>();
    let refused = 0;
    let times = 0;
    for (let round = 0; round < 600; round++) {
      const bytes = randomRequestV2(random);
      const series = readWriteRequestV2(bytes);
      if (typeof series === 'string') throw new Error(`round ${round}: ${series}`);
      const byProtobufjs = readByProtobufjs(bytes);
      series.forEach((read, i) => {
        if (read.v2?.refused !== '') refused++;
        else expect(asText(read)).toBe(byProtobufjs[i]);
      });
      expect(judge(head, head.tenant, model, compressSync(bytes), 'v2')).toBe('stored');
      for (const key of told(head)) {
        times++;
        heard.add(key);
      }
      if (round % 100 === 99) expectSame(head, head.tenant, model);
    }
    expect(heard).toEqual(model.metadata);
    expect(heard.size).toBeGreaterThan(40);
    // Told by words of a table: two that share a place push each other out.
    expect(times).toBeLessThan(heard.size * 1.2);
    expect(model.series.size).toBeGreaterThan(100);
    expect(refused).toBeGreaterThan(100);
  },
);

test('requests with changed bytes are refused whole or stored as the oracle reads them', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const random = new Seeded(22);
  let stored = 0;
  for (let round = 0; round < 2000; round++) {
    const bytes = randomRequestV2(random);
    for (let changes = random.between(1, 3); changes > 0 && bytes.length > 0; changes--)
      bytes[random.below(bytes.length)] = random.pick([random.below(256), 0x0a, 0x12, 0x22, 0x2a, 0x80, 0xff, 0]);
    const cut = random.chance(0.2) ? random.below(bytes.length + 1) : bytes.length;
    if (judge(head, head.tenant, model, compressSync(bytes.subarray(0, cut)), 'v2') === 'stored') stored++;
    if (round % 500 === 499) expectSame(head, head.tenant, model);
  }
  expect(stored).toBeGreaterThan(200);
  expect(stored).toBeLessThan(1800);
});

test('1.0 and 2.0 in turns make the same series of the same labels', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const random = new Seeded(23);
  for (let round = 0; round < 300; round++) {
    const isV2 = random.chance(0.5);
    const bytes = isV2 ? randomRequestV2(random) : randomRequest(random);
    judge(head, head.tenant, model, compressSync(bytes), isV2 ? 'v2' : 'v1');
    if (round % 100 === 99) expectSame(head, head.tenant, model);
  }
});

test('a request as protobufjs writes it', () => {
  const head = new TestHead();
  const symbols = ['', '__name__', 'up', 'job', 'api'].map((text) => Buffer.from(text));
  const bytes = WireRequest.encode({
    symbols,
    timeseries: [{ labelsRefs: [1, 2, 3, 4], samples: [{ value: { low: 7, high: 0 }, timestamp: START_MS }] }],
  }).finish();
  // symbols; 2a: series, 0a: refs, 12: sample (09 value, 10 time)
  expect(Buffer.from(bytes).toString('hex')).toBe(
    `2200 22085f5f6e616d655f5f 22027570 22036a6f62 2203617069 2a18 0a0401020304 1210 090700000000000000 10${Buffer.from(
      varint(START_MS),
    ).toString('hex')}`.replaceAll(' ', ''),
  );
  expect(head.write(compressSync(bytes), LATEST_MS, head.tenant, 'v2').outcome).toMatchObject({
    stored: 1,
    carried: { samples: 1, histograms: 0, exemplars: 0 },
    newestMs: START_MS,
  });
  expect([...head.content()].map(([key, samples]) => [key, [...samples.keys()]])).toEqual([
    ['[["__name__","up"],["job","api"]]', [START_MS]],
  ]);
});

test.each([
  ['nothing at all', [], 'symbols[0] must be empty string'],
  ['no symbols', [seriesOf(refsOf(), sample)], 'symbols[0] must be empty string'],
  ['a first symbol with text', [symbolsOf('a', ''), seriesOf(refsOf(0, 1), sample)], 'symbols[0] must be empty string'],
  [
    'a message of 1.0',
    [seriesField(labelField('__name__', 'up'), sample)],
    'symbols[0] must be "": this is a message of remote write 1.0',
  ],
  [
    'fields of 1.0 behind symbols',
    [symbolsOf(''), seriesField(labelField('__name__', 'up'), sample)],
    'protobuf: fields of remote write 1.0 in a message of 2.0 at byte 2',
  ],
  ['a symbol that is a number', [varintField(4, 1)], 'protobuf: a known field has another wire type at byte 0'],
  ['a ref that is cut', [symbolsOf(''), seriesOf([0x0a, 1, 0x80])], 'protobuf: a length or number runs past the end'],
  ['refs that are doubles', [symbolsOf(''), seriesOf([0x09, 1, 2, 3, 4, 5, 6, 7, 8])], 'protobuf: a known field has'],
])('refused whole, and nothing is stored: %s', (_, fields, message) => {
  const head = new TestHead();
  const before = stateOf(head);
  const body = compressSync(Uint8Array.from(fields.flat()));
  expect(() => head.kernel.receive(head.tenant, body, { protocol: 'v2' })).toThrow(message);
  expect(stateOf(head)).toEqual(before);
});

test('too many series and too many symbols', () => {
  const head = new TestHead();
  const receive = (bytes: Buffer): void =>
    head.kernel.receive(head.tenant, compressSync(Buffer.concat([Buffer.from([0x22, 0]), bytes])), { protocol: 'v2' });
  expect(() => receive(Buffer.alloc(200_002, Buffer.from([0x2a, 0])))).toThrow('too many series (limit 100000)');
  expect(() => receive(Buffer.alloc(30_000_000, Buffer.from([0x22, 0])))).toThrow('too many symbols (limit 1048576)');
});

test.each([
  ['a label ref that no symbol has', [refsOf(1, 2, 9, 3), sample], L.REJECT_SYMBOL_REF, 9],
  ['the largest ref', [refsOf(1, 2, 2 ** 32 - 1, 3), sample], L.REJECT_SYMBOL_REF, 2 ** 32 - 1],
  ['a help ref that no symbol has', [refsOf(1, 2), sample, bytesField(5, varintField(3, 5))], L.REJECT_SYMBOL_REF, 5],
  ['a unit ref that no symbol has', [refsOf(1, 2), sample, bytesField(5, varintField(4, 6))], L.REJECT_SYMBOL_REF, 6],
  ['a ref of an exemplar', [refsOf(1, 2), sample, bytesField(4, refsOf(3, 7))], L.REJECT_SYMBOL_REF, 7],
  ['an odd number of refs', [refsOf(1, 2, 3), sample], L.REJECT_ODD_REFS, 3],
  ['an exemplar with one ref', [refsOf(1, 2), sample, bytesField(4, refsOf(3))], L.REJECT_ODD_REFS, 1],
  ['samples and histograms', [refsOf(1, 2), sample, bytesField(3, [])], L.REJECT_BOTH_KINDS, 0],
  ['neither', [refsOf(1, 2)], L.REJECT_NO_SAMPLES, 0],
])('a series that makes no sense is refused and named, the others are stored: %s', (_, fields, reason, actual) => {
  const head = new TestHead();
  const symbols = symbolsOf('', '__name__', 'up', 'job', 'api');
  const outcome = write(head, symbols, seriesOf(...fields), seriesOf(refsOf(1, 4), sample));
  const isEmpty = reason === L.REJECT_NO_SAMPLES;
  expect(outcome).toMatchObject({
    stored: 1,
    symbols: 5,
    emptySeries: isEmpty ? 1 : 0,
    rejected: isEmpty ? [] : [{ reason, samples: outcome.received - 1 }],
    offenders: [{ reason, actual, timestampMs: 0 }],
  });
  expect(outcome.offenders[0]?.labels[0]).toEqual(['__name__', 'up']);
  expect([...head.content().keys()]).toEqual(['[["__name__","api"]]']);
});

test('labels that repeat a long symbol are measured, not written out', () => {
  const head = new TestHead();
  const refs = Buffer.alloc(1_000_000, Buffer.from([1, 2]));
  const series = Buffer.concat([Buffer.from([0x0a, ...varint(refs.length)]), refs, Buffer.from(sample)]);
  const body = Buffer.concat([
    Buffer.from(symbolsOf('', 'name')),
    Buffer.from([0x22, ...varint(1_000_000)]),
    Buffer.alloc(1_000_000, 'v'),
    Buffer.from([0x2a, ...varint(series.length)]),
    series,
  ]);
  const { outcome } = head.write(compressSync(body), LATEST_MS, head.tenant, 'v2');
  expect(outcome.rejected).toEqual([{ reason: L.REJECT_SERIES_TOO_LONG, samples: 1 }]);
  // 500 000 × (name, value and their lengths), which is more than the number has room for.
  expect(outcome.offenders[0]?.actual).toBe(2 ** 32 - 1);
});

test('series of one request that are new, twice in it, and in another order the next time', () => {
  const head = new TestHead();
  const symbols = symbolsOf('', '__name__', 'up', 'job', 'api', 'db');
  const at = (time: number): Bytes => sampleField(START_MS + time, 1n);
  expect(write(head, symbols, seriesOf(refsOf(1, 2, 3, 4), at(0)), seriesOf(refsOf(1, 2, 3, 4), at(1)))).toMatchObject({
    stored: 2,
    newSeries: 1,
  });
  expect(write(head, symbols, seriesOf(refsOf(3, 4, 1, 2), at(2)), seriesOf(refsOf(1, 2, 3, 5), at(0)))).toMatchObject({
    stored: 2,
    newSeries: 1,
  });
  // Other numbers for the same symbols.
  const others = symbolsOf('', 'api', 'job', 'up', '__name__');
  expect(write(head, others, seriesOf(refsOf(4, 3, 2, 1), at(3)))).toMatchObject({ stored: 1, newSeries: 0 });
});

test('a known series is found by its symbols: no memory is taken for what is sent again', () => {
  const head = new TestHead();
  const symbols = symbolsOf('', '__name__', 'up', 'help', 'job', 'api');
  const metadata = bytesField(5, [...varintField(1, 2), ...varintField(3, 3)]);
  const fields = [symbols, seriesOf(refsOf(1, 2, 4, 5), sample, metadata)];
  write(head, ...fields);
  expect(told(head)).toEqual([metadataKey('up', 2, Buffer.from('help'), Buffer.from(''))]);
  const { usedBytes } = head.kernel;
  expect(write(head, ...fields)).toMatchObject({ stored: 0, duplicates: 1 });
  expect(told(head)).toEqual([]);
  expect(head.kernel.usedBytes).toBe(usedBytes);
});

test('a series with an empty label is found by its symbols, too', () => {
  const head = new TestHead();
  const fields = [symbolsOf('', '__name__', 'up', 'gone'), seriesOf(refsOf(1, 2, 3, 0), sample)];
  write(head, ...fields);
  const body = compressSync(Uint8Array.from(fields.flat()));
  head.kernel.receive(head.tenant, body, { protocol: 'v2' });
  expect(head.kernel.memory.word(L.PLAN + L.PLAN_ALIAS)).not.toBe(0);
  expect([...head.content().keys()]).toEqual(['[["__name__","up"]]']);
});

test('what is said of a metric is told again when it changes, and not for every series', () => {
  const head = new TestHead();
  const symbols = symbolsOf('', '__name__', 'up', 'job', 'a', 'b', 'first', 'second', 's');
  const say = (help: number): Bytes =>
    bytesField(5, [...varintField(1, 1), ...varintField(3, help), ...varintField(4, 8)]);
  const both = (help: number): Bytes[] => [
    symbols,
    seriesOf(refsOf(1, 2, 3, 4), sample, say(help)),
    seriesOf(refsOf(1, 2, 3, 5), sample, say(help)),
  ];
  write(head, ...both(6));
  expect(told(head)).toEqual([metadataKey('up', 1, Buffer.from('first'), Buffer.from('s'))]);
  write(head, ...both(7));
  expect(told(head)).toEqual([metadataKey('up', 1, Buffer.from('second'), Buffer.from('s'))]);
  write(head, symbols, seriesOf(refsOf(1, 2, 3, 4), sample));
  expect(told(head)).toEqual([]);
});

test('1.0 tells of metric families what the oracle reads', () => {
  const head = new TestHead();
  const random = new Seeded(24);
  let families = 0;
  for (let round = 0; round < 300; round++) {
    const bytes = randomRequest(random);
    head.write(compressSync(bytes), LATEST_MS);
    const expected = readFamilies(bytes).map(({ family, type, help, unit }) =>
      metadataKey(`${Buffer.from(family)}`, type, help, unit),
    );
    expect(told(head)).toEqual(expected);
    families += expected.length;
  }
  expect(families).toBeGreaterThan(30);
});
