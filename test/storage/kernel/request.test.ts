import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import { instantiate } from '../../../storage/kernel/instance.ts';
import * as L from '../../../storage/kernel/layout.ts';
import { StorageError } from '../../../storage/lib/errors.ts';
import { HeadModel, keyOf } from '../../support/oracle/head-model.ts';
import { readWriteRequest, type WireSeries } from '../../support/oracle/write-request.ts';
import type { Bits64 } from '../../support/protocol.ts';
import { Seeded } from '../../support/seeded.ts';
import { bytesField, labelField, sampleField, seriesField, varint, varintField } from '../../support/wire-writer.ts';
import { counts, expectSame as expectSameContent, stateOf } from './judge.ts';
import { bitsOf, LATEST_MS, randomRequest } from './random-request.ts';
import { HIGH_ARENA, START_MS, TestHead, WINDOW_MS } from './test-head.ts';

function expectSame(head: TestHead, model: HeadModel): void {
  expectSameContent(head, head.tenant, model);
}

/** The project's own definition, with texts and values as the bytes they are. */
function wireType(): protobuf.Type {
  const root = new protobuf.Root();
  root.resolvePath = (_, target) => fileURLToPath(new URL(`../../../proto/${target}`, import.meta.url));
  root.loadSync('remote.proto');
  const { fields: label } = root.lookupType('prometheus.Label');
  for (const name of ['name', 'value']) (label[name] as protobuf.Field).type = 'bytes';
  (root.lookupType('prometheus.Sample').fields.value as protobuf.Field).type = 'fixed64';
  // Their messages are not read here, and may be any bytes.
  const series = root.lookupType('prometheus.TimeSeries');
  if (series.fields.histograms !== undefined) series.remove(series.fields.histograms);
  return root.lookupType('prometheus.WriteRequest');
}

const WireRequest = wireType();

interface DecodedRequest {
  readonly timeseries: readonly {
    readonly labels: readonly { readonly name: Uint8Array; readonly value: Uint8Array }[];
    readonly samples: readonly { readonly value: Bits64 | number; readonly timestamp: Bits64 | number }[];
  }[];
}

/** What protobufjs reads, as text. */
function readByProtobufjs(bytes: Uint8Array): string {
  const { timeseries } = WireRequest.decode(bytes) as unknown as DecodedRequest;
  const bits = ({ low, high }: Bits64): bigint => (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  // A field that is missing is the number 0.
  const bitsOrZero = (value: Bits64 | number): bigint => (typeof value === 'number' ? 0n : bits(value));
  return asText(
    timeseries.map(({ labels, samples }) => ({
      labels: labels.map(({ name, value }) => [name, value]),
      samples: samples.map(({ value, timestamp }) => ({
        timestampMs: BigInt.asIntN(64, bitsOrZero(timestamp)),
        bits: bitsOrZero(value),
      })),
    })),
  );
}

interface PlainSeries {
  readonly labels: WireSeries['labels'];
  readonly samples: readonly { readonly timestampMs: bigint; readonly bits: bigint }[];
}

function asText(series: readonly PlainSeries[]): string {
  return series
    .map(
      ({ labels, samples }) =>
        `${labels.map(([name, value]) => `${Buffer.from(name).toString('hex')}=${Buffer.from(value).toString('hex')}`)} ` +
        samples.map(({ timestampMs, bits }) => `${bits}@${timestampMs}`).join(' '),
    )
    .join('\n');
}

/** Lets the kernel and the model take a body; both refuse it, or tell the same. */
function takeBoth(head: TestHead, model: HeadModel, bytes: Uint8Array): boolean {
  const series = readWriteRequest(bytes);
  if (series !== undefined) {
    expect(asText(series)).toBe(readByProtobufjs(bytes));
    const { status, outcome } = head.write(compressSync(bytes), LATEST_MS);
    expect(status).toBe(L.APPLIED);
    expect(counts(outcome)).toEqual(counts(model.apply(series, LATEST_MS)));
    return true;
  }
  const before = stateOf(head);
  const error = thrownBy(() => head.kernel.receive(head.tenant, compressSync(bytes)));
  expect(error).toBeInstanceOf(StorageError);
  expect((error as StorageError).kind).toBe('invalid');
  expect(stateOf(head)).toEqual(before);
  return false;
}

function thrownBy(call: () => void): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

test.each([
  ['from the usual address on', {}],
  ['above 2 GiB', { arenaAddress: HIGH_ARENA }],
])('random requests are stored as the model stores them, with the arena %s', (_, settings) => {
  const head = new TestHead(settings);
  const model = new HeadModel();
  const random = new Seeded(1);
  for (let round = 0; round < 600; round++) {
    expect(takeBoth(head, model, randomRequest(random)), `round ${round}`).toBe(true);
    // Another instance on the same memory has state of its own and none in the memory.
    if (round % 50 === 25) instantiate(head.kernel.memory.memory);
    if (round % 100 === 99) expectSame(head, model);
  }
  expect(model.series.size).toBeGreaterThan(100);
});

test('a body is read the same wherever in its buffer it begins', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const random = new Seeded(3);
  for (let offset = 0; offset < 16; offset++) {
    const bytes = randomRequest(random);
    const body = compressSync(bytes);
    const buffer = new Uint8Array(offset + body.length);
    buffer.set(body, offset);
    const { outcome } = head.write(buffer.subarray(offset), LATEST_MS);
    expect(counts(outcome)).toEqual(counts(model.apply(readWriteRequest(bytes) ?? [], LATEST_MS)));
  }
  expectSame(head, model);
});

test('requests with changed bytes are refused whole or stored as the oracle reads them', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const random = new Seeded(2);
  let accepted = 0;
  for (let round = 0; round < 6000; round++) {
    const bytes = randomRequest(random);
    for (let changes = random.between(1, 3); changes > 0 && bytes.length > 0; changes--)
      bytes[random.below(bytes.length)] = random.pick([random.below(256), 0x0a, 0x12, 0x80, 0xff, 0]);
    const cut = random.chance(0.2) ? random.below(bytes.length + 1) : bytes.length;
    if (takeBoth(head, model, bytes.subarray(0, cut))) accepted++;
    if (round % 1000 === 999) expectSame(head, model);
  }
  expect(accepted).toBeGreaterThan(500);
  expect(accepted).toBeLessThan(5500);
});

test('every field of a series cut at every byte, with another series behind it', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const whole = [...labelField('__name__', 'cut'), ...sampleField(START_MS, 5n), ...sampleField(START_MS + 1, 6n)];
  const behind = seriesField(labelField('__name__', 'behind'), sampleField(START_MS, 0x0910091009100910n));
  for (let length = 0; length <= whole.length; length++)
    takeBoth(head, model, Uint8Array.from([...bytesField(1, whole.slice(0, length)), ...behind]));
  expectSame(head, model);
});

test('the last byte of a series never claims what follows it as a sample', () => {
  const head = new TestHead();
  const lone = bytesField(1, [...labelField('__name__', 'lone'), 0x12]);
  // Fields of the request, or seen from that byte: a sample of 16 bytes.
  const behind = [0x10, 0x09, 0x10, 1, 0x10, 1, 0x10, 1, 0x10, 1, 0x10, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
  const bytes = Uint8Array.from([...lone, ...behind]);
  expect(readWriteRequest(Uint8Array.from(behind))).toEqual([]);
  expect(takeBoth(head, new HeadModel(), bytes)).toBe(false);
});

test.each([
  ['random bytes', Buffer.from('9f3c51b2e8d70a4466ff', 'hex'), /^protobuf: .+ at byte \d+$/],
  ['wire type 7', Buffer.from([0x0f, 1]), /^protobuf: unknown wire type at byte 0$/],
  ['a varint of 11 bytes', Buffer.from([0x30, ...Array(10).fill(0x80), 1]), /^protobuf: .+ at byte 0$/],
  ['a tag of 11 bytes', Buffer.from([...Array(10).fill(0x80), 1]), /^protobuf: bad tag at byte 0$/],
  [
    'a length past the end',
    Buffer.from([0x0a, 100, 0x78]),
    /^protobuf: a length or number runs past the end at byte 0$/,
  ],
  ['a length of 2^64 − 1', Buffer.from([0x0a, ...varint(2n ** 64n - 1n)]), /^protobuf: .+ at byte 0$/],
  ['a length of 2^32', Buffer.from([0x0a, ...varint(2n ** 32n)]), /^protobuf: .+ at byte 0$/],
  ['100 000 nested groups', Buffer.alloc(100_000, 0x7b), /^protobuf: unknown wire type at byte 0$/],
  ['field 0', Buffer.from([0x02, 0]), /^protobuf: bad tag at byte 0$/],
  ['symbols of remote write 2.0', Buffer.from([0x22, 0]), /^protobuf: fields of remote write 2.0 .+ at byte 0$/],
])('a body that is not the message: %s', (_, bytes, message) => {
  const head = new TestHead();
  const before = stateOf(head);
  expect(() => head.kernel.receive(head.tenant, compressSync(bytes))).toThrow(message);
  expect(stateOf(head)).toEqual(before);
});

test('30 million one-byte repeated elements are too many series', () => {
  const head = new TestHead();
  const bytes = Buffer.alloc(30_000_000, Buffer.from([0x0a, 0]));
  const error = thrownBy(() => head.kernel.receive(head.tenant, compressSync(bytes)));
  expect(error).toMatchObject({ kind: 'limit', message: 'too many series (limit 100000)' });
  const most = Buffer.alloc(200_000, Buffer.from([0x0a, 0]));
  expect(counts(head.write(compressSync(most), LATEST_MS).outcome)).toMatchObject({ received: 0, newSeries: 0 });
});

test('label sets at their limits and one beyond', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const named = labelField('__name__', 'limits');
  const sample = sampleField(START_MS, 1n);
  const many = (count: number): number[] => Array.from({ length: count }, (_, i) => labelField(`l${i}`, 'v')).flat();
  const long = (bytes: number): number[] => {
    const labels: number[] = [];
    for (let i = 0; labels.length + 10_020 <= bytes; i++) labels.push(...labelField(`long${i}`, 'x'.repeat(10_000)));
    const rest = bytes - labels.length - labelField('rest', '').length - named.length;
    return [...labels, ...labelField('rest', 'x'.repeat(rest > 127 ? rest - 3 : rest))];
  };
  for (const labels of [
    [...named, ...many(127)],
    [...named, ...many(128)],
    [...named, ...many(1000)],
    [...named, ...labelField('n'.repeat(1024), 'v')],
    [...named, ...labelField('n'.repeat(1025), 'v')],
    [...named, ...labelField('v', 'v'.repeat(16_384))],
    [...named, ...labelField('v', 'v'.repeat(16_385))],
    ...[65_520, 65_535, 65_536, 65_537, 65_560].map((bytes) => [...named, ...long(bytes)]),
  ]) {
    // In one piece, and with the sample in between.
    for (const fields of [
      [labels, sample],
      [named, sample, labels.slice(named.length)],
    ])
      expect(takeBoth(head, model, Uint8Array.from(seriesField(...fields)))).toBe(true);
  }
  expectSame(head, model);
});

test('scattered labels of megabytes are measured, not followed', () => {
  const head = new TestHead();
  const model = new HeadModel();
  // Inner fields whose content would lie beyond any buffer that holds only the first part of them.
  for (const size of [70_000, 1_100_000, 5_000_000, 20_000_000]) {
    const inner = Buffer.concat([
      Buffer.from(bytesField(1, Buffer.from('big'))),
      Buffer.from([...varint(7 * 8 + 2), ...varint(size)]),
      Buffer.alloc(size, 0xff),
      Buffer.from(bytesField(2, Buffer.from('value'))),
    ]);
    const series = Buffer.concat([
      Buffer.from(labelField('__name__', 'scattered')),
      Buffer.from(sampleField(START_MS, 1n)),
      Buffer.from([0x0a, ...varint(inner.length)]),
      inner,
    ]);
    const bytes = Buffer.concat([Buffer.from([0x0a, ...varint(series.length)]), series]);
    expect(takeBoth(head, model, bytes)).toBe(true);
  }
  expect(model.series.size).toBe(0);
});

test('a rejection names the series, however its labels were written', () => {
  const head = new TestHead();
  const name = labelField('__name__', 'named');
  const job = labelField('job', 'api');
  const bad = sampleField(-5, 1n);
  const labels = [
    ['__name__', 'named'],
    ['job', 'api'],
  ];
  for (const fields of [
    [name, job, bad],
    [bad, name, job],
    [name, bad, sampleField(START_MS, 1n), job],
  ]) {
    const { outcome } = head.write(compressSync(Uint8Array.from(seriesField(...fields))), LATEST_MS);
    expect(outcome.offenders).toEqual([{ reason: L.REJECT_NEGATIVE_TIME, labels, timestampMs: -5, actual: 0 }]);
  }
  const four = [1, 2, 3, 4].map((i) => seriesField(labelField('no', `name${i}`), sampleField(START_MS, 1n)));
  const { outcome } = head.write(compressSync(Uint8Array.from(four.flat())), LATEST_MS);
  expect(outcome.offenders.map(({ labels: sent }) => sent)).toEqual([
    [['no', 'name1']],
    [['no', 'name2']],
    [['no', 'name3']],
  ]);
});

test('labels in any order, with empty values or written twice, are one series', () => {
  const head = new TestHead();
  const [name, job, empty] = [labelField('__name__', 'one'), labelField('job', 'j'), labelField('gone', '')];
  const twice = bytesField(1, [
    ...bytesField(1, Buffer.from('x')),
    ...bytesField(1, Buffer.from('job')),
    ...bytesField(2, [106]),
  ]);
  [
    [name, job],
    [job, name],
    [name, empty, job],
    [twice, name],
  ].forEach((labels, i) => {
    const { outcome } = head.write(
      compressSync(Uint8Array.from(seriesField(...labels, sampleField(START_MS + i, 1n)))),
      LATEST_MS,
    );
    expect(outcome.stored).toBe(1);
  });
  expect([...head.content()].map(([key, samples]) => [key, samples.size])).toEqual([
    [
      keyOf([
        ['__name__', 'one'],
        ['job', 'j'],
      ]),
      4,
    ],
  ]);
});

test('a series that fills the record of samples goes on where it stopped', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const labels = labelField('__name__', 'long');
  const random = new Seeded(3);
  // 190 000 samples of 12 and more bytes in the log: a record and a part; the labels of every other one come last.
  const fields = Array.from({ length: 190_000 }, (_, i) => sampleField(START_MS + i * 100, random.bits64()));
  for (const order of [
    [labels, ...fields],
    [...fields.slice(0, 90_000), labels, ...fields.slice(90_000)],
  ]) {
    const content = Buffer.concat(order.map((field) => Buffer.from(field)));
    const bytes = Buffer.concat([Buffer.from([0x0a, ...varint(content.length)]), content]);
    const expected = model.apply(readWriteRequest(bytes) as WireSeries[], LATEST_MS);
    const before = head.frames.length;
    expect(counts(head.write(compressSync(bytes), LATEST_MS).outcome)).toEqual(counts(expected));
    if (expected.stored > 0) expect(head.frames.length - before).toBe(3); // definitions, two of samples
  }
  expectSame(head, model);
});

test('a request whose new series fill the record of definitions goes on where it stopped', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const series = Array.from({ length: 200 }, (_, i) =>
    Buffer.from(
      seriesField(
        labelField('__name__', 'wide'),
        labelField('a', `${i}${'x'.repeat(16_000)}`),
        sampleField(START_MS, bitsOf(i)),
      ),
    ),
  );
  const bytes = Buffer.concat(series);
  const expected = model.apply(readWriteRequest(bytes) as WireSeries[], LATEST_MS);
  expect(counts(head.write(compressSync(bytes), LATEST_MS).outcome)).toEqual(counts(expected));
  expectSame(head, model);
  expect(head.frames.length).toBeGreaterThan(2);
});

test('more windows than a tenant may hold are rejected and counted', () => {
  const head = new TestHead();
  const model = new HeadModel();
  const samples = Array.from({ length: 200 }, (_, i) => sampleField(START_MS - i * WINDOW_MS, 1n));
  expect(takeBoth(head, model, Uint8Array.from(seriesField(labelField('__name__', 'old'), ...samples)))).toBe(true);
  expect(head.kernel.outcome().rejected).toEqual([{ reason: L.REJECT_WINDOWS, samples: 72 }]);
  const late = seriesField(labelField('__name__', 'old'), varintField(9, 1), ...samples);
  expect(takeBoth(head, model, Uint8Array.from(late))).toBe(true);
  expectSame(head, model);
});

test('tenants share nothing but the memory', () => {
  const head = new TestHead();
  const tenants = Array.from({ length: 300 }, (_, i) => head.kernel.tenant(`tenant-${i}`));
  tenants.forEach((tenant, i) => {
    head.write(
      compressSync(Uint8Array.from(seriesField(labelField('__name__', 'same'), sampleField(START_MS + i, 1n)))),
      LATEST_MS,
      tenant,
    );
  });
  tenants.forEach((tenant, i) => {
    expect(head.kernel.tenant(`tenant-${i}`)).toBe(tenant);
    const [samples] = [...head.content(tenant).values()];
    expect([...(samples?.keys() ?? [])]).toEqual([START_MS + i]);
  });
  expect(head.content().size).toBe(0);
  expect(head.kernel.tenantKeys().length).toBe(301);
});
