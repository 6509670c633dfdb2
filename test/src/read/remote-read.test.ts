import fc from 'fast-check';
import protobuf from 'protobufjs';
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import type { ReadLimits } from '../../../src/read/read-job.ts';
import { answerRemoteRead } from '../../../src/read/remote-read.ts';
import { compareLabels } from '../../../storage/model/labels.ts';
import { WINDOW_MS } from '../../../storage/model/time-range.ts';
import { type MemoryContent, memoryContext } from '../../support/memory-reader.ts';
import { type BitSample, bitsOf, type MemorySeries } from '../../support/memory-source.ts';
import { ReadRequest } from '../../support/protocol.ts';
import { type AnsweredSeries, decodeFrames, decodeSamples, decodeStreamed } from '../../support/read-answers.ts';

const SAMPLES = 0;
const STREAMED = 1;
const STALE = 0x7ff0000000000002n;

interface Query {
  readonly startTimestampMs?: number | bigint | object;
  readonly endTimestampMs?: number | object;
  readonly matchers?: { type: number; name: string; value: string }[];
}

function request(queries: readonly Query[], acceptedResponseTypes: number[] = []): Uint8Array {
  return compressSync(ReadRequest.encode({ queries, acceptedResponseTypes } as object).finish());
}

const NAMED = { type: 2, name: '__name__', value: '.+' };

async function bytesOf(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function answered(
  content: readonly MemoryContent[],
  queries: readonly Query[],
  type: number,
  limits?: ReadLimits,
) {
  const { body } = await answerRemoteRead(request(queries, [type]), memoryContext(content, limits));
  const bytes = await bytesOf(body);
  return type === SAMPLES ? decodeSamples(bytes) : decodeStreamed(bytes, queries.length);
}

function series(labels: string[], ...chunks: BitSample[][]): MemorySeries {
  return { labels, chunks };
}

const content: MemoryContent[] = [
  {
    series: [
      series(
        ['__name__', 'up', 'job', 'a'],
        [
          [1000, STALE],
          [2000, bitsOf(-0)],
        ],
        [
          [3000, bitsOf(0)],
          [4000, 0x7ff8000000000abcn],
        ],
      ),
      series(
        ['__name__', 'up', 'job', 'b'],
        [
          [-5000, bitsOf(1)],
          [2500, bitsOf(2)],
        ],
      ),
    ],
  },
  {
    series: [series(['__name__', 'up', 'job', 'c'], [[2000, bitsOf(7)]])],
    externalLabels: ['cluster', 'eu', 'job', 'b'],
  },
];

test.each([SAMPLES, STREAMED])(
  'answers with external labels, an inclusive end and the bits of every value (type %d)',
  async (type) => {
    const [first, second] = await answered(
      content,
      [
        { startTimestampMs: 1000, endTimestampMs: 3000, matchers: [NAMED] },
        { startTimestampMs: -5000, endTimestampMs: 4000, matchers: [{ type: 0, name: 'job', value: 'b' }] },
      ],
      type,
    );
    expect(first).toEqual([
      { labels: ['__name__', 'up', 'cluster', 'eu', 'job', 'b'], samples: [[2000, bitsOf(7)]] },
      {
        labels: ['__name__', 'up', 'job', 'a'],
        samples: [
          [1000, STALE],
          [2000, bitsOf(-0)],
          [3000, bitsOf(0)],
        ],
      },
      { labels: ['__name__', 'up', 'job', 'b'], samples: [[2500, bitsOf(2)]] },
    ]);
    expect(second?.map(({ labels }) => labels.length)).toEqual([6, 4]);
    expect(second?.[1]?.samples).toEqual([
      [-5000, bitsOf(1)],
      [2500, bitsOf(2)],
    ]);
  },
);

test.each([
  [[], 'application/x-protobuf', 'snappy'],
  [[STREAMED, SAMPLES], 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse', undefined],
  [[SAMPLES, STREAMED], 'application/x-protobuf', 'snappy'],
  [[7, STREAMED], 'application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse', undefined],
])('the first accepted form that can be made is chosen from %j', async (accepted, contentType, contentEncoding) => {
  const answer = await answerRemoteRead(request([{ matchers: [NAMED] }], accepted), memoryContext(content));
  expect([answer.contentType, answer.contentEncoding]).toEqual([contentType, contentEncoding]);
});

test('all of time can be asked for', async () => {
  const min = { low: 0, high: -0x80000000, unsigned: false };
  const max = { low: -1, high: 0x7fffffff, unsigned: false };
  const [answer] = await answered(
    content,
    [{ startTimestampMs: min, endTimestampMs: max, matchers: [NAMED] }],
    STREAMED,
  );
  expect(answer?.flatMap(({ samples }) => samples).length).toBe(7);
});

test('nothing found is an empty answer', async () => {
  const query = { startTimestampMs: 1, endTimestampMs: 2, matchers: [NAMED] };
  expect(await answered([], [query, query], SAMPLES)).toEqual([[], []]);
  expect(await answered([], [query, query], STREAMED)).toEqual([[], []]);
});

test.each([
  ['a snappy block that is none', Uint8Array.of(9, 9, 9), 'snappy'],
  ['what is no protobuf', compressSync(Buffer.from([0x0a, 0xff, 0xff, 0x01])), 'not a ReadRequest'],
  ['no query', request([]), 'has no query'],
  ['too many queries', request(Array.from({ length: 101 }, () => ({}))), '101 queries'],
  [
    'a range that ends before it starts',
    request([{ startTimestampMs: 2, endTimestampMs: 1 }]),
    'query 0: it ends at 1',
  ],
  ['an unknown matcher', request([{ matchers: [{ type: 9, name: 'a', value: 'b' }] }]), 'unknown matcher type 9'],
  [
    'a regular expression that is none',
    request([{ matchers: [{ type: 3, name: 'a', value: '(' }] }]),
    'missing closing )',
  ],
  ['forms that cannot be made', request([{}], [5, 6]), 'none of the accepted response types (5, 6)'],
])('%s is refused as invalid', async (_, body, message) => {
  const refusal = await answerRemoteRead(body, memoryContext(content)).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ name: 'StorageError', kind: 'invalid' });
  expect(String(refusal)).toContain(message);
});

test('a damaged request is answered or refused, never worse', async () => {
  const matchers = [NAMED, { type: 3, name: 'job', value: 'x|y.*' }];
  const whole = ReadRequest.encode({ queries: [{ matchers }, { matchers }], acceptedResponseTypes: [1, 0] }).finish();
  const flips = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(flips, fc.boolean(), async (changes, compressFirst) => {
      const bytes = Buffer.from(compressFirst ? compressSync(whole) : whole);
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      try {
        const { body } = await answerRemoteRead(compressFirst ? bytes : compressSync(bytes), memoryContext(content));
        expect((await bytesOf(body)).length).toBeGreaterThanOrEqual(0);
      } catch (error) {
        expect(error).toMatchObject({ name: 'StorageError', kind: expect.stringMatching(/^(invalid|limit)$/) });
      }
    }),
    { numRuns: 2000 },
  );
});

test.each([SAMPLES, STREAMED])('an answer beyond the limits ends with an error (type %d)', async (type) => {
  const query = { startTimestampMs: 0, endTimestampMs: 5000, matchers: [NAMED] };
  const tooMany = answered(content, [query], type, { samples: 4, bytes: 1e6 });
  await expect(tooMany).rejects.toMatchObject({ kind: 'limit', message: expect.stringContaining('sample limit (4)') });
  const tooLong = answered(content, [query], type, { samples: 100, bytes: 20 });
  await expect(tooLong).rejects.toMatchObject({ kind: 'limit', message: expect.stringContaining('20 bytes') });
});

test('a frame has one series and at most 1 MiB; a long series goes on in the next', async () => {
  const chunks = Array.from({ length: 300 }, (_, i) =>
    Array.from(
      { length: 500 },
      (_, j): BitSample => [
        i * WINDOW_MS + j * 1000,
        (BigInt(i * 1000 + j) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn,
      ],
    ),
  );
  const long = [
    {
      series: [series(['__name__', 'a', 'l', 'x'.repeat(5000)], ...chunks), series(['__name__', 'b'], chunks[0] ?? [])],
    },
  ];
  const query = { startTimestampMs: 0, endTimestampMs: 400 * WINDOW_MS, matchers: [NAMED] };
  const { body } = await answerRemoteRead(request([query], [STREAMED]), memoryContext(long));
  const bytes = await bytesOf(body);
  const frames = decodeFrames(bytes);
  expect(frames.map(({ labels }) => labels[1])).toEqual(['a', 'a', 'b']);
  for (const frame of frames) expect(frame.bytes).toBeLessThanOrEqual(1_048_576);
  const [answer] = decodeStreamed(bytes, 1);
  expect(answer?.[0]?.samples).toEqual(chunks.flat());
}, 60_000);

const arbitrarySample = fc.tuple(
  fc.integer({ min: -20, max: 60 }),
  fc.oneof(fc.constantFrom(STALE, bitsOf(-0), 0n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
);
const arbitraryChunk = fc
  .uniqueArray(arbitrarySample, { selector: ([time]) => time, minLength: 1, maxLength: 8 })
  .map((samples) => samples.map(([time, bits]): BitSample => [time * 600_000, bits]).sort(([a], [b]) => a - b));
const arbitraryContent = fc.array(
  fc.record({
    series: fc.uniqueArray(
      fc.record({
        labels: fc.constantFrom('1', '2', '3').map((v) => ['__name__', 'm', 'v', v]),
        chunks: fc.array(arbitraryChunk, { minLength: 1, maxLength: 4 }),
      }),
      {
        selector: ({ labels }) => labels.join(),
        maxLength: 3,
      },
    ),
    externalLabels: fc.constantFrom([], ['ext', 'a'], ['v', 'z']),
  }),
  { maxLength: 4 },
);

test('the streamed answer holds exactly what the SAMPLES answer holds, in label order, for any content', async () => {
  await fc.assert(
    fc.asyncProperty(
      arbitraryContent,
      fc.integer({ min: -20, max: 60 }),
      fc.integer({ min: 0, max: 80 }),
      async (any, from, width) => {
        const query = { startTimestampMs: from * 600_000, endTimestampMs: (from + width) * 600_000, matchers: [NAMED] };
        const asSamples = await answered(any, [query], SAMPLES);
        expect(await answered(any, [query], STREAMED)).toEqual(asSamples);
        const [answer] = asSamples as [AnsweredSeries[]];
        for (let i = 1; i < answer.length; i++) {
          expect(compareLabels(answer[i - 1]?.labels ?? [], answer[i]?.labels ?? [])).toBeLessThan(0);
        }
        for (const { samples } of answer)
          for (const [time] of samples)
            expect(time >= query.startTimestampMs && time <= query.endTimestampMs).toBe(true);
      },
    ),
    { numRuns: 300 },
  );
});

test('the definitions in proto/ agree with those of the tests', () => {
  const { root } = protobuf.loadSync('proto/remote.proto');
  const ours = root.lookupType('prometheus.ReadRequest');
  const query = { startTimestampMs: 5, endTimestampMs: 6, matchers: [{ type: 3, name: 'n', value: 'v' }] };
  const message = { queries: [query], acceptedResponseTypes: [1, 0] };
  expect(Buffer.from(ours.encode(message).finish())).toEqual(Buffer.from(ReadRequest.encode(message).finish()));
  for (const name of ['WriteRequest', 'ReadResponse', 'ChunkedReadResponse']) root.lookupType(`prometheus.${name}`);
});

test('the example in docs/formats/remote-read.md', async () => {
  const example = [{ series: [series(['a', 'b'], [[1000, bitsOf(1)]])] }];
  const query = { startTimestampMs: 0, endTimestampMs: 5000, matchers: [{ type: 0, name: 'a', value: 'b' }] };
  const { body } = await answerRemoteRead(request([query], [STREAMED]), memoryContext(example));
  expect((await bytesOf(body)).toString('hex')).toMatchInlineSnapshot(
    `"2201a229090a200a060a0161120162121608e80710e8071801220c0001d00f3ff0000000000000"`,
  );
});
