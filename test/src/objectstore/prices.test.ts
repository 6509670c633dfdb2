import { expect, test } from 'vitest';
import { LIST_PRICES, parsePrices, storageCost, totalCost, usageCost } from '../../../src/objectstore/prices.ts';

const GB = 2 ** 30;

test.each([
  ['S3', 'put', 5],
  ['S3', 'list', 5],
  ['S3', 'get', 0.4],
  ['S3', 'head', 0.4],
  ['S3', 'delete', 0],
  ['GCS', 'put', 5],
  ['AZURE', 'get', 0.4],
  ['FILESYSTEM', 'put', 0],
] as const)('a million requests at %s, %s: %d dollars', (store, operation, thousandfold) => {
  const { requests } = usageCost(LIST_PRICES[store], { operation, requests: 1_000_000, receivedBytes: 0 });
  expect(requests).toBeCloseTo(thousandfold, 9);
});

test.each([
  ['S3', 0.09, 0.023],
  ['GCS', 0.12, 0.02],
  ['AZURE', 0.087, 0.018],
  ['FILESYSTEM', 0, 0],
] as const)('a GB of %s costs %d when it leaves and %d a month when it stays', (store, egress, storage) => {
  const prices = LIST_PRICES[store];
  expect(usageCost(prices, { operation: 'get', requests: 0, receivedBytes: GB }).egress).toBeCloseTo(egress, 12);
  expect(storageCost(prices, GB)).toBeCloseTo(storage, 12);
});

test('rows cost what each of them costs; bytes that are sent cost nothing', () => {
  const row = { purpose: 'query', failures: 0, sentBytes: 9 * GB } as const;
  const rows = [
    { ...row, operation: 'get', requests: 1000, receivedBytes: 2 * GB },
    { ...row, operation: 'put', requests: 2000, receivedBytes: 0 },
  ] as const;
  const { requests, egress } = totalCost(LIST_PRICES.S3, rows);
  expect(requests).toBeCloseTo(0.0004 + 0.01, 12);
  expect(egress).toBeCloseTo(0.18, 12);
});

test('a file has the prices that are paid really; what it does not say is as in the list', () => {
  const text = 'currency: EUR\nwrite_requests_per_1000: 6e-3\negress_per_gb: 0\n';
  expect(parsePrices(text, 'prices.yml', LIST_PRICES.S3)).toEqual({
    source: 'prices.yml',
    currency: 'EUR',
    writeRequestsPer1000: 0.006,
    readRequestsPer1000: 0.0004,
    egressPerGb: 0,
    storagePerGbMonth: 0.023,
  });
  expect(parsePrices('', 'prices.yml', LIST_PRICES.GCS)).toEqual({ ...LIST_PRICES.GCS, source: 'prices.yml' });
});

test.each([
  ['egress_per_gb: free', 'prices.yml:1:16: egress_per_gb: want a price such as 0.005'],
  ['egress_per_gb: -1', 'prices.yml:1:16: egress_per_gb: want a price such as 0.005'],
  ['egress: 1', 'prices.yml:1:1: unknown key "egress": the nearest is egress_per_gb'],
])('a file with %j is refused with its place', (text, message) => {
  expect(() => parsePrices(text, 'prices.yml', LIST_PRICES.S3)).toThrow(message);
});
