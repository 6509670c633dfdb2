/** The benchmark of a bucket at a tiny size: it runs, and it measures what it says. */
import { expect, test } from 'vitest';
import { formatBucketReport, parseBucketOptions, runBucket } from '../../bench/bucket.ts';
import { objectStores } from '../support/object-stores.ts';

test('the benchmark of a bucket counts what uploads, queries and starts ask of it', async () => {
  const sizes = ['--series=600', '--blocks=3', '--interval=600', '--upload-interval=600', '--delay=0'];
  const options = parseBucketOptions([...sizes, '--catalog-blocks=20']);
  const report = await runBucket(options, () => undefined);
  expect(report.uploads.map(({ store }) => store)).toEqual([
    'FILESYSTEM',
    ...(objectStores.swift ? ['S3 (Swift)'] : []),
  ]);
  for (const { samples, requests } of report.uploads) {
    expect(samples).toBe(600 * 12);
    expect(requests).toBeGreaterThanOrEqual(5); // Two lists, chunks, index, meta.json.
    expect(requests).toBeLessThanOrEqual(12);
  }
  expect(report.queries).toHaveLength(3 * 3);
  for (const { caches, blocks, blocksTouched, requests, bytes } of report.queries) {
    const isWarm = caches === 'warm';
    expect({ blocks, blocksTouched }).toEqual({ blocks: 3, blocksTouched: isWarm ? 0 : 3 });
    expect(requests === 0 && bytes === 0).toBe(isWarm);
  }
  const [first, ...others] = report.queries.filter(({ selector }) => selector.startsWith('{instance='));
  expect(first?.series).toBeGreaterThan(400);
  for (const { series, answerBytes } of others)
    expect({ series, answerBytes }).toEqual({ series: first?.series, answerBytes: first?.answerBytes });
  expect(formatBucketReport(report, options)).not.toContain('MISSED');
}, 240_000);

test('options that make no sense are refused', () => {
  expect(() => parseBucketOptions(['--blocks=0'])).toThrow('numbers above 0');
  expect(() => parseBucketOptions(['--block=1'])).toThrow('--block');
});
