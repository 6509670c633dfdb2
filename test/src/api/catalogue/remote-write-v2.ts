/** Rows of remote write 2.0: the message under a wrong name, symbols and refs, what a series has to have, metadata. */
import {
  HEADERS_V2,
  type RawSeriesV2,
  rawRequestV2,
  sampleV2,
  writeRequestV2,
} from '../../../support/remote-write-v2.ts';
import { type Body, bytes, GOOD, goodContent, goodRequest, nowMs, post, type Row, snappy, unpacked } from './row.ts';

const SYMBOLS = ['', '__name__', 'good', 'job', 'bad'];
const good: RawSeriesV2 = { labelsRefs: [1, 2], samples: [sampleV2(nowMs, 1)] };
const bad: RawSeriesV2 = { labelsRefs: [1, 4], samples: [sampleV2(nowMs, 1)] };
const goodRequestV2 = rawRequestV2(SYMBOLS, [good]);
const ONE_STORED = { counts: { stored: 1 }, content: goodContent } as const;
const NOTHING_WRITTEN = [0, 0, 0] as const;

const postV2 = (body: Body, headers: Record<string, string> = {}): Row['send'] =>
  post(body, { ...HEADERS_V2, ...headers });

const types: Row[] = [
  'application/x-protobuf;proto=io.prometheus.write.v2.Request',
  'application/x-protobuf; proto=io.prometheus.write.v2.Request',
  'Application/X-Protobuf; Proto="io.prometheus.write.v2.Request"',
].map((type) => ({
  b: 7,
  what: `Content-Type ${type}`,
  send: postV2(goodRequestV2, { 'content-type': type }),
  status: 204,
  written: [1, 0, 0],
  ...ONE_STORED,
}));

const messages: Row[] = [
  {
    b: 8,
    what: 'a message of 1.0 as 2.0',
    send: postV2(goodRequest),
    status: 400,
    text: /^symbols\[0\] must be ""/,
    written: NOTHING_WRITTEN,
  },
  {
    b: 8,
    what: 'a message of 2.0 as 1.0',
    send: post(goodRequestV2),
    status: 400,
    text: /^protobuf: .*2\.0 .*at byte 0/,
  },
  ...[
    [10, 'random bytes', snappy(Buffer.from('9f3c51b2e8d70a4466ff', 'hex'))] as const,
    [10, 'a field of wire type 7', snappy(bytes(0x0f, 1))] as const,
    [10, 'a good request, then a length past the end', snappy(bytes(unpacked(goodRequestV2), 0x2a, 100, 'x'))] as const,
    [11, '100 000 nested groups', snappy(Buffer.alloc(100_000, 0x7b))] as const,
  ].map(
    ([b, what, body]): Row => ({
      b,
      what: `2.0: ${what}`,
      send: postV2(body),
      status: 400,
      text: /^protobuf: .* at byte \d+\n$/,
      written: NOTHING_WRITTEN,
    }),
  ),
  {
    b: 12,
    what: '2.0: 15 million empty series',
    send: postV2(snappy(bytes(0x22, 0, Buffer.alloc(30_000_000, bytes(0x2a, 0))))),
    status: 400,
    text: /^too many series \(limit 100000\)\n$/,
    written: NOTHING_WRITTEN,
  },
  {
    b: 12,
    what: '2.0: 15 million empty symbols',
    send: postV2(snappy(Buffer.alloc(30_000_000, bytes(0x22, 0)))),
    status: 400,
    text: /^too many symbols \(limit 1048576\)\n$/,
    written: NOTHING_WRITTEN,
  },
  {
    b: 13,
    what: '2.0: unknown, well-formed fields',
    send: postV2(snappy(bytes((15 << 3) | 2, 3, 'abc', unpacked(goodRequestV2)))),
    status: 204,
    written: [1, 0, 0],
    ...ONE_STORED,
  },
  ...[
    ['no symbols', rawRequestV2([], [good])] as const,
    ['no symbols and no series', snappy(bytes())] as const,
    ['a first symbol with text', rawRequestV2(['x', ...SYMBOLS], [good])] as const,
  ].map(
    ([what, body]): Row => ({
      b: 14,
      what,
      send: postV2(body),
      status: 400,
      text: /^symbols\[0\] must be empty string\n$/,
      written: NOTHING_WRITTEN,
    }),
  ),
  {
    b: 46,
    what: '2.0: a request of more series than its tenant may send at once',
    tenant: 'small-requests',
    send: postV2(rawRequestV2(SYMBOLS, [good, bad, { ...good, labelsRefs: [1, 3] }])),
    status: 400,
    text: /^a request of 3 series, limit 2 \(series_limit in --receive\.limits-config-file\)\n$/,
    written: NOTHING_WRITTEN,
    counts: { rejected: { 'request-series': 3 } },
  },
  { b: 19, what: '2.0: no series', send: postV2(rawRequestV2([''], [])), status: 204, written: NOTHING_WRITTEN },
  ...['9.9', '0.1.0', 'garbage'].map(
    (version): Row => ({
      b: 20,
      what: `2.0 with version ${version} in the header`,
      send: postV2(goodRequestV2, { 'x-prometheus-remote-write-version': version }),
      status: 204,
      written: [1, 0, 0],
      ...ONE_STORED,
    }),
  ),
];

/** A series that is refused beside one that is stored. */
function refused(b: number, what: string, series: RawSeriesV2, reason: string, text: string): Row {
  const samples = (series.samples?.length ?? 0) + (series.histograms?.length ?? 0);
  const exemplars = series.exemplars?.length ?? 0;
  const dropped = exemplars === 0 ? '' : `; dropped ${exemplars} of ${exemplars} exemplars: ${exemplars} series`;
  return {
    b,
    what,
    send: postV2(rawRequestV2(SYMBOLS, [series, good])),
    status: 400,
    text: new RegExp(
      `^stored 1 of ${samples + 1} samples; rejected ${samples}: ${text} \\{.*\\}; in all \\d .*${reason}${dropped}\\n$`,
    ),
    written: [1, 0, 0],
    counts: { stored: 1, ...(samples > 0 ? { rejected: { [reason]: samples } } : {}) },
    content: goodContent,
  };
}

const outOfRange = (ref: number): string => `symbol ref ${ref} out of range \\(5\\)`;
const series: Row[] = [
  refused(15, 'a label ref', { ...bad, labelsRefs: [1, 9] }, 'symbol-ref', outOfRange(9)),
  refused(15, 'the largest ref', { ...bad, labelsRefs: [1, 2 ** 32 - 1] }, 'symbol-ref', outOfRange(2 ** 32 - 1)),
  refused(15, 'a ref of help', { ...bad, metadata: { helpRef: 5 } }, 'symbol-ref', outOfRange(5)),
  refused(15, 'a ref of a unit', { ...bad, metadata: { unitRef: 6 } }, 'symbol-ref', outOfRange(6)),
  refused(15, 'a ref of an exemplar', { ...bad, exemplars: [{ labelsRefs: [3, 7] }] }, 'symbol-ref', outOfRange(7)),
  refused(
    16,
    'an odd number of refs',
    { ...bad, labelsRefs: [1, 4, 3] },
    'odd-label-refs',
    'odd number of label refs \\(3\\)',
  ),
  refused(17, 'neither samples nor histograms', { labelsRefs: [1, 4] }, 'no-samples', 'neither samples nor histograms'),
  refused(
    17,
    'samples and histograms',
    { ...bad, histograms: [{ countInt: 0, timestamp: nowMs }] },
    'samples-and-histograms',
    'samples beside histograms in one series',
  ),
  {
    b: 18,
    what: 'metadata of type 250',
    send: postV2(writeRequestV2([{ labels: GOOD, samples: [[nowMs, 1]], metadata: { type: 250, help: 'h' } }])),
    status: 204,
    written: [1, 0, 0],
    ...ONE_STORED,
  },
];

export const REMOTE_WRITE_V2: readonly Row[] = [...types, ...messages, ...series];
