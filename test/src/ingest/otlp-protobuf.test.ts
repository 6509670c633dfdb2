import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkMessage, FieldCursor } from '../../../src/ingest/otlp-protobuf.ts';
import { EXPORT_REQUEST } from '../../../src/ingest/otlp-schema.ts';
import { StorageError } from '../../../storage/index.ts';
import { asProtobuf, attributes, CUMULATIVE, request, translate } from '../../support/otlp.ts';
import { type Bytes, bytesField, fixed32Field, fixed64Field, varint, varintField } from '../../support/wire-writer.ts';

const check = (bytes: Bytes | Uint8Array): void => checkMessage(Uint8Array.from(bytes), EXPORT_REQUEST);

/** A request with one metric that has these fields. */
const metric = (...fields: Bytes[]): Bytes => bytesField(1, bytesField(2, bytesField(2, fields.flat())));
/** A request with one gauge whose only data point has these fields. */
const point = (...fields: Bytes[]): Bytes => metric(bytesField(5, bytesField(1, fields.flat())));
const name = bytesField(1, Buffer.from('x'));
const time = fixed64Field(3, 1_700_000_000_000_000_000n);

const sample = asProtobuf(
  request(
    [
      {
        name: 'http.server.request.duration',
        unit: 's',
        histogram: {
          aggregationTemporality: CUMULATIVE,
          dataPoints: [
            {
              timeUnixNano: '1700000000123456789',
              count: '3',
              sum: 1.5,
              bucketCounts: ['1', '2'],
              explicitBounds: [1],
              attributes: attributes({ 'http.route': '/ü', method: 'GET' }),
            },
          ],
        },
      },
      { name: 'up', gauge: { dataPoints: [{ timeUnixNano: '1700000000123456789', asInt: '1' }] } },
    ],
    { 'service.name': 'shop' },
  ),
);

describe('a request is refused whole', () => {
  const nested = (levels: number): Bytes => {
    let value: Bytes = bytesField(1, Buffer.from('deep'));
    for (let i = 0; i < levels; i++) value = bytesField(5, bytesField(1, value));
    return point(bytesField(7, [...name, ...bytesField(2, value)]));
  };
  const rows: [what: string, bytes: Bytes, text: RegExp][] = [
    ['a tag alone', [0x0a], /^protobuf: cut number at byte 1$/],
    ['a length past the end', [0x0a, 5, 0], /^protobuf: length past the end at byte 1$/],
    ['a length beyond any memory', [0x0a, ...varint(2n ** 63n)], /^protobuf: length past the end at byte 1$/],
    ['a length past the end of its message', bytesField(1, [0x12, 3, 0x12, 9]), /length past the end/],
    [
      'a number of eleven bytes',
      [0x78, ...Array(10).fill(0x80), 0],
      /^protobuf: number of more than 10 bytes at byte 1$/,
    ],
    ['field 0', [0x02, 0], /^protobuf: no valid field number at byte 0$/],
    ['a field number beyond 2^29', [...varint(2n ** 32n), 0], /^protobuf: no valid field number at byte 0$/],
    ['a group', [0x1b], /^protobuf: wire type 3 at byte 1$/],
    ['the end of a group', [0x1c], /^protobuf: wire type 4 at byte 1$/],
    ['100 000 groups', Array(100_000).fill(0x1b), /^protobuf: wire type 3 at byte 1$/],
    ['wire type 7', [0x0f], /^protobuf: wire type 7 at byte 1$/],
    ['half a double', point([0x21, 1, 2, 3]), /length past the end/],
    ['a message as a number', varintField(1, 7), /^protobuf: resource_metrics with wire type 0 at byte 1$/],
    ['a time as a varint', point(varintField(3, 7)), /^protobuf: time_unix_nano with wire type 0/],
    ['a time as 4 bytes', point(fixed32Field(3, 7)), /^protobuf: time_unix_nano with wire type 5/],
    ['a name as a double', metric(fixed64Field(1, 7n)), /^protobuf: name with wire type 1/],
    [
      'a packed value that is not repeated',
      point(bytesField(4, [0, 0, 0, 0, 0, 0, 0, 0])),
      /as_double with wire type 2/,
    ],
    [
      'packed counts of 9 bytes',
      metric(bytesField(9, bytesField(1, bytesField(6, Array(9).fill(0))))),
      /^protobuf: bucket_counts of 9 bytes/,
    ],
    ['a name that is not UTF-8', metric(bytesField(1, [0xff])), /^protobuf: name is not valid UTF-8/],
    ['an overlong zero in a key', point(bytesField(7, bytesField(1, [0xc0, 0x80]))), /key is not valid UTF-8/],
    ['half a surrogate pair', metric(bytesField(1, [0xed, 0xa0, 0x80])), /name is not valid UTF-8/],
    ['two values', point(fixed64Field(4, 0n), fixed64Field(6, 1n)), /NumberDataPoint.as_int beside another value/],
    ['two kinds of data', metric(bytesField(5, []), bytesField(7, [])), /Metric.sum beside another value/],
    ['two resources', bytesField(1, [...bytesField(1, []), ...bytesField(1, [])]), /resource beside another value/],
    ['values in values in values', nested(40), /^protobuf: messages nested deeper than 64/],
    ['100 000 values in values', deep(100_000), /^protobuf: messages nested deeper than 64/],
  ];
  test.each(rows)('%s', (_, bytes, text) => {
    expect(() => check(bytes)).toThrow(StorageError);
    expect(() => check(bytes)).toThrow(text);
  });

  /** AnyValues in each other, written from the inside out. */
  function deep(levels: number): Bytes {
    const parts: number[][] = [];
    let length = 0;
    for (let i = 0; i < 2 * levels; i++) {
      const head = [i % 2 === 0 ? 0x0a : 0x2a, ...varint(length)];
      parts.push(head);
      length += head.length;
    }
    return point(bytesField(7, [...name, ...bytesField(2, parts.reverse().flat())]));
  }

  test('more messages than memory should be spent on', () => {
    const empty = Buffer.alloc(8_000_002);
    for (let at = 0; at < empty.length; at += 2) empty[at] = 0x0a;
    expect(() => checkMessage(empty, EXPORT_REQUEST)).toThrow(/^protobuf: more than 4000000 messages at byte \d+$/);
  });
});

describe('a request is taken', () => {
  const rows: [what: string, bytes: Bytes, samples: string[]][] = [
    ['with nothing in it', [], []],
    ['with empty messages', [0x0a, 0, 0x0a, 2, 0x12, 0], []],
    [
      'with fields that are not known',
      [
        ...metric(
          name,
          varintField(15, 1),
          fixed32Field(900, 1),
          bytesField(5, bytesField(1, [...time, ...fixed64Field(4, 0n)])),
        ),
        ...bytesField(1000, [1, 2, 3]),
        ...fixed64Field(536_870_911, 1n),
      ],
      ['x{} 0@1700000000000'],
    ],
    [
      'with counts and bounds that are not packed',
      metric(
        name,
        bytesField(9, [
          ...varintField(2, CUMULATIVE),
          ...bytesField(1, [
            ...time,
            ...fixed64Field(6, 1n),
            ...fixed64Field(7, 0x3ff0000000000000n),
            ...fixed64Field(6, 2n),
          ]),
        ]),
      ),
      ['x_count{} 0@1700000000000', 'x_bucket{le="1"} 1@1700000000000', 'x_bucket{le="+Inf"} 0@1700000000000'],
    ],
    [
      'with numbers in more bytes than they need',
      metric(name, bytesField(5, [0x8a, 0, 0x92, 0x80, 0, ...time, ...fixed64Field(4, 0n)])),
      ['x{} 0@1700000000000'],
    ],
    ['with a value 20 deep', [...asProtobuf(request([], {}))], []],
  ];
  test.each(rows)('%s', (_, bytes, samples) => {
    expect(translate(Uint8Array.from(bytes)).samples).toEqual(samples);
  });
});

test('a request that is cut anywhere gives an error, or what comes before the cut', () => {
  const whole = translate(sample).samples;
  expect(whole).toHaveLength(5);
  for (let length = 0; length < sample.length; length++) {
    const cut = sample.subarray(0, length);
    let samples: string[] = [];
    try {
      ({ samples } = translate(cut));
    } catch (error) {
      expect((error as Error).message).toMatch(/^protobuf: .* at byte \d+$/);
    }
    expect(samples).toEqual([]);
  }
});

test('bytes that were changed anywhere give an error or a translation, never anything else', () => {
  const changes = fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
  let taken = 0;
  fc.assert(
    fc.property(changes, (bytes) => {
      const changed = Buffer.from(sample);
      for (const [at, byte] of bytes) changed[at] = byte;
      try {
        translate(changed);
        taken++;
      } catch (error) {
        expect((error as Error).message).toMatch(/^protobuf: .* at byte \d+$/);
      }
    }),
    { numRuns: 3000 },
  );
  expect(taken).toBeGreaterThan(100);
});

test('a cursor reads 64-bit numbers with their sign', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
      const bytes = Uint8Array.from(varintField(3, value));
      const cursor = new FieldCursor(bytes, 0, bytes.length);
      expect(cursor.next()).toBe(true);
      expect([cursor.number, cursor.int64(), cursor.uint32()]).toEqual([3, value, Number(BigInt.asUintN(32, value))]);
      expect(cursor.next()).toBe(false);
    }),
  );
});
