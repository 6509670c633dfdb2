/** B1 to B23: bodies, headers and connections. */
import { zstdCompressSync } from 'node:zlib';
import { exchange, write } from '../serve.ts';
import {
  bytes,
  goodContent,
  goodRequest,
  MIB,
  nowMs,
  post,
  type Row,
  raw,
  request,
  snappy,
  unpacked,
  WRITE_HEAD,
} from './row.ts';

const LIMIT = 32 * MIB;
const CORRUPT = /^snappy: corrupt input at byte \d+\n$/;
const PROTOBUF = /^protobuf: .* at byte \d+\n$/;
const ONE_STORED = { counts: { stored: 1 }, content: goodContent };

function* mebibytes(count: number, framed = false): Generator<Buffer> {
  for (let i = 0; i < count; i++)
    yield framed ? bytes(`${MIB.toString(16)}\r\n`, Buffer.alloc(MIB), '\r\n') : Buffer.alloc(MIB);
}

const lengths: Row[] = [
  {
    b: 1,
    what: '4 GiB declared, 7 bytes there',
    send: post(bytes([0xff, 0xff, 0xff, 0xff, 0x0f], '1234567')),
    status: 400,
    text: /^snappy: declared length 4294967295 exceeds limit 33554432\n$/,
  },
  {
    b: 2,
    what: '33 MiB declared and there',
    send: post(snappy(Buffer.alloc(33 * MIB))),
    status: 400,
    text: /^snappy: declared length 34603008 exceeds limit 33554432\n$/,
  },
  {
    b: 3,
    what: 'more than 32 MiB by its Content-Length, before it is read',
    send: raw((head) => [`${head}Content-Length: ${LIMIT + 1}\r\n\r\n`]),
    status: 413,
    text: /^request body exceeds 33554432 bytes\n$/,
  },
  {
    b: 3,
    what: 'more than 32 MiB that is really sent: the answer still arrives',
    send: raw((head) => [`${head}Content-Length: ${40 * MIB}\r\n\r\n`, ...mebibytes(40)]),
    status: 413,
    text: /./,
  },
  {
    b: 3,
    what: 'more than 32 MiB in chunks, at the first byte too many',
    send: raw((head) => [`${head}Transfer-Encoding: chunked\r\n\r\n`, ...mebibytes(40, true)]),
    status: 413,
    text: /^request body exceeds 33554432 bytes\n$/,
  },
];

const packed: Row[] = [
  ['10 bytes declared, 11 there', bytes(10, 10 << 2, 'x'.repeat(11)), CORRUPT] as const,
  ['10 bytes declared, 9 there', bytes(10, 8 << 2, 'x'.repeat(9)), CORRUPT] as const,
  ['a copy with offset 0', bytes(10, 0, 'x', [0b0101, 0], 0, 'y'), CORRUPT] as const,
  ['a copy from before the start', bytes(10, 0, 'x', [0b0101, 9], 0, 'y'), CORRUPT] as const,
  ['a copy past the end', bytes(10, 0, 'x', [0b11111101, 1]), CORRUPT] as const,
].map(([what, body, text]) => ({ b: 4, what, send: post(body), status: 400, text }));

const short: Row[] = [
  { b: 5, what: 'an empty body', send: post(bytes()), status: 400, text: /^empty body/ },
  { b: 5, what: 'one byte', send: post(bytes(7)), status: 400, text: CORRUPT },
  { b: 5, what: 'one byte 00, which is an empty request', send: post(bytes(0)), status: 204 },
  {
    b: 5,
    what: 'framed snappy',
    send: post(bytes([0xff, 6, 0, 0], 'sNaPpY', [1, 5, 0, 0], 'abcde')),
    status: 400,
    text: /^snappy: block format required/,
  },
];

const encodings: Row[] = [
  ...['gzip', 'deflate', 'snappy, gzip', 'x-unknown'].map((encoding) => ({
    b: 6,
    what: `Content-Encoding ${encoding}`,
    send: post(goodRequest, { 'content-encoding': encoding }),
    status: 415,
    text: /only snappy \(block format\) and zstd\n$/,
  })),
  { b: 6, what: 'Content-Encoding snappy', send: post(goodRequest), status: 204, ...ONE_STORED },
  {
    b: 6,
    what: 'Content-Encoding zstd',
    send: post(zstdCompressSync(unpacked(goodRequest)) as Buffer<ArrayBuffer>, { 'content-encoding': 'zstd' }),
    status: 204,
    ...ONE_STORED,
  },
  {
    b: 6,
    what: 'no Content-Type and no Content-Encoding',
    send: ({ api, tenant }) => {
      const head = `POST /api/v1/write HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: ${tenant}\r\nConnection: close\r\n`;
      return exchange(api.port, [`${head}Content-Length: ${goodRequest.length}\r\n\r\n`, goodRequest]);
    },
    status: 204,
    ...ONE_STORED,
  },
];

const types: Row[] = [
  'text/plain',
  'application/x-protobuf; proto=foo',
  'application/x-protobuf;proto=prometheus.WriteRequest;proto=prometheus.WriteRequest',
  `application/x-protobuf; x=${'y'.repeat(8 * 1024)}`,
  'no type at all',
].map((type) => ({
  b: 7,
  what: `Content-Type ${type.slice(0, 100)}`,
  send: post(goodRequest, { 'content-type': type }),
  status: 415,
  text: /prometheus\.WriteRequest.*io\.prometheus\.write\.v2\.Request/,
}));

const WRITE_PATHS = ['/api/v1/write', '/api/v1/push', '/insert/0/prometheus/', '/insert/1:2/prometheus/api/v1/write'];
const methods: Row[] = WRITE_PATHS.flatMap((path) =>
  ['GET', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH'].map((method) => ({
    b: 9,
    what: `${method} ${path}`,
    send: async ({ api }) => {
      const response = await fetch(api.url + path, { method });
      return { status: response.status, text: await response.text(), headers: response.headers };
    },
    status: 405,
    text: method === 'HEAD' ? /^$/ : /^method [A-Z]+ is not allowed here: use POST\n$/,
    header: ['allow', /^POST$/] as const,
  })),
);

const messages: Row[] = [
  ...[
    [10, 'random bytes', snappy(Buffer.from('9f3c51b2e8d70a4466ff', 'hex'))] as const,
    [10, 'a field of wire type 7', snappy(bytes(0x0f, 1))] as const,
    [10, 'a varint of 11 bytes', snappy(bytes(0x0a, Array(10).fill(0x80), 1))] as const,
    [10, 'a length past the end', snappy(bytes(0x0a, 100, 'x'))] as const,
    [10, 'a good series, then a length past the end', snappy(bytes(unpacked(goodRequest), 0x0a, 100, 'x'))] as const,
    [11, '100 000 nested groups', snappy(Buffer.alloc(100_000, 0x7b))] as const,
  ].map(([b, what, body]) => ({ b, what, send: post(body), status: 400, text: PROTOBUF })),
  {
    b: 12,
    what: '15 million empty series',
    send: post(snappy(Buffer.alloc(30_000_000, bytes(0x0a, 0)))),
    status: 400,
    text: /^too many series \(limit 100000\)\n$/,
  },
  {
    b: 13,
    what: 'unknown, well-formed fields',
    send: post(snappy(bytes((15 << 3) | 2, 3, 'abc', unpacked(goodRequest)))),
    status: 204,
    ...ONE_STORED,
  },
  { b: 19, what: 'metadata only', send: post(snappy(bytes(0x1a, 5, 0x12, 3, 'abc'))), status: 204 },
  { b: 19, what: 'no series', send: post(snappy(bytes())), status: 204 },
  ...['9.9', '0.1.0', 'garbage'].map((version) => ({
    b: 20,
    what: `version ${version} in the header`,
    send: post(goodRequest, { 'x-prometheus-remote-write-version': version }),
    status: 204,
    ...ONE_STORED,
  })),
  {
    b: 20,
    what: 'a proto parameter',
    send: post(goodRequest, { 'content-type': 'application/x-protobuf;proto=prometheus.WriteRequest' }),
    status: 204,
    ...ONE_STORED,
  },
];

const length = `Content-Length: ${goodRequest.length}\r\n`;
const framing: Row[] = [
  {
    b: 22,
    what: 'Transfer-Encoding and Content-Length',
    send: raw((head) => [`${head}${length}Transfer-Encoding: chunked\r\n\r\n`, goodRequest]),
    status: 400,
    text: /^Bad Request/,
  },
  {
    b: 22,
    what: 'two Content-Lengths',
    send: raw((head) => [`${head}${length}Content-Length: 3\r\n\r\n`, goodRequest]),
    status: 400,
    text: /^Bad Request/,
  },
  {
    b: 22,
    what: 'a bare CR in the head',
    send: raw((head) => [`${head}X: a\rb\r\n${length}\r\n`, goodRequest]),
    status: 400,
    text: /^Bad Request/,
  },
  {
    b: 22,
    what: 'headers of 17 KiB',
    send: raw((head) => [`${head}X: ${'x'.repeat(17 * 1024)}\r\n${length}\r\n`]),
    status: 431,
    text: /^Request Header Fields Too Large/,
  },
  {
    b: 22,
    what: '1 TiB announced with Expect, and no 100 before the refusal',
    send: raw((head) => [`${head}Expect: 100-continue\r\nContent-Length: ${2 ** 40}\r\n\r\n`]),
    status: 413,
    text: /^request body exceeds 33554432 bytes\n$/,
  },
  {
    b: 23,
    server: 'hasty',
    what: 'a head that does not end',
    send: ({ api }) => exchange(api.port, [WRITE_HEAD]),
    status: 408,
    text: /^Request Timeout: the request did not come in time\n$/,
  },
  {
    b: 23,
    server: 'hasty',
    what: 'a body that does not end',
    send: raw((head) => [`${head}${length}\r\n`, goodRequest.subarray(0, 10)]),
    status: 408,
    text: /^Request Timeout/,
  },
];

/** One that is stored between two that are not. */
const recovery: Row = {
  b: 4,
  what: 'a good request after a damaged one on the same server',
  send: async ({ api, tenant }) => {
    const headers = { 'x-scope-orgid': tenant };
    await write(api.url, bytes(10, 0, 'x', [0b0101, 0], 0, 'y'), { headers });
    return write(api.url, request([['__name__', 'after']], [nowMs, 2]), { headers });
  },
  status: 204,
  counts: { stored: 1 },
  content: [[[['__name__', 'after']], [[nowMs, 2]]]],
};

export const BODIES: readonly Row[] = [
  ...lengths,
  ...packed,
  recovery,
  ...short,
  ...encodings,
  ...types,
  ...methods,
  ...messages,
  ...framing,
];
