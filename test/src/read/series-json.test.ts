import { expect, test } from 'vitest';
import type { Answer } from '../../../src/read/read-context.ts';
import type { Listing } from '../../../src/read/read-job.ts';
import { answerLabelNames, answerLabelValues, answerSeries } from '../../../src/read/series-json.ts';
import { type MemoryContent, memoryContext } from '../../support/memory-reader.ts';
import { bitsOf, EVER, type MemorySeries } from '../../support/memory-source.ts';

function series(...labels: string[]): MemorySeries {
  return { labels, chunks: [[[1000, bitsOf(1)]]] };
}

const content: MemoryContent[] = [
  { series: [series('__name__', 'up', 'job', 'a'), series('__name__', 'up', 'job', 'b "quoted" \n\u2028😀')] },
  {
    series: [series('__name__', 'down', 'job', 'a'), series('__name__', 'up', 'job', 'a')],
    externalLabels: ['cluster', 'eu'],
  },
];

function listing(...selectors: string[]): Listing {
  return { selectors, range: EVER, limit: 0 };
}

async function text({ body, contentType }: Answer): Promise<string> {
  expect(contentType).toBe('application/json');
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

test('label names and values come in the envelope of Prometheus, byte for byte', async () => {
  expect(await text(await answerLabelNames(listing(), memoryContext(content)))).toBe(
    '{"status":"success","data":["__name__","cluster","job"]}',
  );
  expect(await text(await answerLabelValues('__name__', listing('{job="a"}'), memoryContext(content)))).toBe(
    '{"status":"success","data":["down","up"]}',
  );
  expect(await text(await answerLabelValues('__proto__', listing(), memoryContext(content)))).toBe(
    '{"status":"success","data":[]}',
  );
});

test('series are objects of their labels, in label order, without repetition', async () => {
  const answer = await text(await answerSeries(listing('up', '{cluster="eu"}'), memoryContext(content)));
  expect(JSON.parse(answer)).toEqual({
    status: 'success',
    data: [
      { __name__: 'down', cluster: 'eu', job: 'a' },
      { __name__: 'up', cluster: 'eu', job: 'a' },
      { __name__: 'up', job: 'a' },
      { __name__: 'up', job: 'b "quoted" \n\u2028😀' },
    ],
  });
});

test('a limit cuts the list and says so', async () => {
  const limited = { ...listing('up'), limit: 2 };
  const answer = JSON.parse(await text(await answerSeries(limited, memoryContext(content))));
  expect(answer.data.length).toBe(2);
  expect(answer.warnings).toEqual(['results truncated due to limit']);
  const exact = JSON.parse(await text(await answerSeries({ ...limited, limit: 3 }, memoryContext(content))));
  expect([exact.data.length, exact.warnings]).toEqual([3, undefined]);
  expect(await text(await answerLabelNames({ ...listing(), limit: 1 }, memoryContext(content)))).toBe(
    '{"status":"success","data":["__name__"],"warnings":["results truncated due to limit"]}',
  );
});

test('a list of any length comes in pieces that join to valid JSON', async () => {
  const many = [
    { series: Array.from({ length: 5000 }, (_, i) => series('__name__', 'up', 'i', String(i).padStart(5, '0'))) },
  ];
  const pieces: number[] = [];
  const { body } = await answerSeries(listing('up'), memoryContext(many));
  let all = '';
  for await (const piece of body) {
    pieces.push(piece.length);
    all += Buffer.from(piece).toString();
  }
  expect(pieces.length).toBeGreaterThan(1);
  expect(JSON.parse(all).data.length).toBe(5000);
  expect(JSON.parse(await text(await answerLabelValues('i', listing(), memoryContext(many)))).data.length).toBe(5000);
});

test('a list of series wants a selector, and every selector has to be one', async () => {
  await expect(answerSeries(listing(), memoryContext(content))).rejects.toThrow('no match[] parameter provided');
  await expect(answerSeries(listing('up', '{}'), memoryContext(content))).rejects.toThrow(
    'at least one non-empty matcher',
  );
  await expect(answerLabelNames(listing('{a='), memoryContext(content))).rejects.toMatchObject({ kind: 'invalid' });
});

test('a list beyond the limit of bytes ends with an error', async () => {
  const answer = await answerLabelNames(listing(), memoryContext(content, { samples: 1, bytes: 30 }));
  await expect(text(answer)).rejects.toMatchObject({ kind: 'limit' });
});
