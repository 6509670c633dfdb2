import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteReader, ByteWriter } from '../../../storage/lib/bytes.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function written(write: (writer: ByteWriter) => void): string {
  const writer = new ByteWriter();
  write(writer);
  return hex(writer.bytes);
}

test.each([
  [0, '00'],
  [127, '7f'],
  [128, '8001'],
  [300, 'ac02'],
  [2 ** 31 - 1, 'ffffffff07'],
  [2 ** 31, '8080808008'],
  [2 ** 32, '8080808010'],
  [2 ** 53 - 1, 'ffffffffffffff0f'],
])('the uvarint of %d is %s', (value, expected) => {
  expect(written((writer) => writer.uvarint(value))).toBe(expected);
});

test.each([
  [0, '00'],
  [-1, '01'],
  [1, '02'],
  [-64, '7f'],
  [64, '8001'],
  [1_700_000_000_000, '80a0abfef962'],
  [2 ** 53 - 1, 'feffffffffffff1f'],
  [-(2 ** 53 - 1), 'fdffffffffffff1f'],
])('the varint of %d is %s', (value, expected) => {
  expect(written((writer) => writer.varint(value))).toBe(expected);
});

test('fixed numbers have the byte order their name says', () => {
  expect(written((writer) => writer.u16be(0x1234))).toBe('1234');
  expect(written((writer) => writer.u32be(0xfedcba98))).toBe('fedcba98');
  expect(written((writer) => writer.u32le(0xfedcba98))).toBe('98badcfe');
  expect(written((writer) => writer.u64be(2 ** 53 - 1))).toBe('001fffffffffffff');
  expect(written((writer) => writer.u64le(2 ** 53 - 2))).toBe('feffffffffff1f00');
});

test('text is its UTF-8 length and bytes, also where it is long or not ASCII', () => {
  expect(written((writer) => writer.text('up'))).toBe('027570');
  expect(written((writer) => writer.text('é€😀'))).toBe('09c3a9e282acf09f9880');
  expect(written((writer) => writer.text('x'.repeat(200))).slice(0, 6)).toBe('c80178');
});

const field = fc.oneof(
  fc.record({ kind: fc.constant('uvarint' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('varint' as const), value: fc.maxSafeInteger() }),
  fc.record({ kind: fc.constant('u64be' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('u64le' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('u32be' as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant('u32le' as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant('u16be' as const), value: fc.nat(0xffff) }),
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat(0xff) }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'grapheme', maxLength: 300 }) }),
);
type Field = typeof field extends fc.Arbitrary<infer T> ? T : never;

function write(writer: ByteWriter, { kind, value }: Field): void {
  if (kind === 'text') writer.text(value);
  else writer[kind](value);
}

test('what is written is read, and every shorter input fails without throwing', () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 20 }), fc.nat(), (fields, cut) => {
      const writer = new ByteWriter(1);
      writer.u8(7);
      writer.reset();
      for (const item of fields) write(writer, item);
      const read = (reader: ByteReader): unknown[] => fields.map(({ kind }) => reader[kind]());

      const whole = new ByteReader(writer.bytes);
      expect(read(whole)).toEqual(fields.map(({ value }) => value));
      expect([whole.failed, whole.remaining]).toEqual([false, 0]);

      if (writer.length === 0) return;
      const short = new ByteReader(writer.bytes, 0, cut % writer.length);
      read(short);
      expect(short.failed).toBe(true);
    }),
  );
});

test('a failure sticks: later reads answer nothing', () => {
  const reader = new ByteReader(Uint8Array.of(1, 2, 3));
  expect(reader.u32be()).toBe(0);
  expect([reader.failed, reader.remaining, reader.u8(), reader.raw(1).length, reader.text()]).toEqual([
    true,
    0,
    0,
    0,
    '',
  ]);
});

test('numbers beyond 2^53 and endless varints fail', () => {
  for (const bytes of [new Uint8Array(11).fill(0xff), Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10)]) {
    const reader = new ByteReader(bytes);
    reader.uvarint();
    expect(reader.failed).toBe(true);
  }
  const fixed = new ByteReader(Uint8Array.of(0, 0x20, 0, 0, 0, 0, 0, 0));
  fixed.u64be();
  expect(fixed.failed).toBe(true);
});

test('a range outside the bytes, or a negative length, fails', () => {
  expect(new ByteReader(new Uint8Array(4), 2, 5).failed).toBe(true);
  expect(new ByteReader(new Uint8Array(4), -1).failed).toBe(true);
  const reader = new ByteReader(new Uint8Array(4), 2);
  reader.skip(-1);
  expect(reader.failed).toBe(true);
});
