import { describe, expect, test } from 'vitest';
import { checkBody, checkContentEncoding, writeEncoding, writeProtocol } from '../../../src/api/remote-headers.ts';

describe('the Content-Type of a write', () => {
  test.each([
    undefined,
    'application/x-protobuf',
    'Application/X-Protobuf',
    'application/x-protobuf;proto=prometheus.WriteRequest',
    'application/x-protobuf; proto=prometheus.WriteRequest',
    'application/x-protobuf; Proto="prometheus.WriteRequest"',
    'application/x-protobuf;charset=utf-8',
  ])('may be %s, which is 1.0', (contentType) => expect(writeProtocol(contentType)).toBe('v1'));

  test.each([
    '',
    'text/plain',
    'application/json',
    'application/x-protobuf; proto=foo',
    'application/x-protobuf; proto=',
    'application/x-protobuf; proto',
    'application/x-protobuf; proto=a=b',
    'application/x-protobuf; proto=prometheus.WriteRequest; proto=prometheus.WriteRequest',
    `application/x-protobuf; ${'x'.repeat(8192)}=1`,
  ])('may not be %s: 415 names both messages', (contentType) => {
    expect(() => writeProtocol(contentType)).toThrow(
      expect.objectContaining({
        status: 415,
        message: expect.stringMatching(/prometheus\.WriteRequest.*io\.prometheus\.write\.v2\.Request/),
      }),
    );
  });

  test.each([
    'application/x-protobuf;proto=io.prometheus.write.v2.Request',
    'application/x-protobuf; proto="io.prometheus.write.v2.Request"',
  ])('may be %s, which is 2.0', (contentType) => expect(writeProtocol(contentType)).toBe('v2'));
});

describe('the Content-Encoding', () => {
  test.each([undefined, 'snappy', 'Snappy'])('may be %s', (encoding) => {
    expect(() => checkContentEncoding(encoding)).not.toThrow();
    expect(writeEncoding(encoding)).toBe('snappy');
  });
  test('of a write may be zstd, too', () => {
    expect([writeEncoding('zstd'), writeEncoding('ZSTD')]).toEqual(['zstd', 'zstd']);
    expect(() => checkContentEncoding('zstd')).toThrow(expect.objectContaining({ status: 415 }));
  });
  test.each(['gzip', 'deflate', 'snappy, gzip', 'snappy, snappy', 'zstd, snappy', 'identity', ''])(
    'may not be %j',
    (encoding) => {
      const refused = expect.objectContaining({ status: 415, message: expect.stringContaining('only snappy') });
      expect(() => checkContentEncoding(encoding)).toThrow(refused);
      expect(() => writeEncoding(encoding)).toThrow(refused);
    },
  );
});

test('an empty body and framed snappy are refused without decoding', () => {
  expect(() => checkBody(Buffer.alloc(0), 'WriteRequest')).toThrow(/^empty body/);
  const framed = Buffer.from('ff060000734e6150705901', 'hex');
  expect(() => checkBody(framed, 'WriteRequest')).toThrow('snappy: block format required');
  expect(() => checkBody(Buffer.of(0xff), 'WriteRequest')).not.toThrow();
});
