import { describe, expect, test } from 'vitest';
import { limitsOf, NO_LIMITS_CONFIG, parseLimitsConfig } from '../../../src/config/limits-config.ts';

// thanos docs/components/receive.md, the example as it stands there.
const THANOS = `write:
  global:
    max_concurrency: 30
    meta_monitoring_url: "http://localhost:9090"
    meta_monitoring_limit_query: "sum(prometheus_tsdb_head_series) by (tenant)"
  default:
    request:
      size_bytes_limit: 1024
      series_limit: 1000
      samples_limit: 10
    head_series_limit: 1000
  tenants:
    acme:
      request:
        size_bytes_limit: 0
        series_limit: 0
        samples_limit: 0
      head_series_limit: 2000
    ajax:
      request:
        series_limit: 50000
        samples_limit: 500
`;
const NONE = NO_LIMITS_CONFIG.default;

test("Thanos' own file is taken as it is: 0 is no limit, and what a tenant does not say is as by default", () => {
  const config = parseLimitsConfig(THANOS, 'limits.yml');
  expect(config.maxConcurrency).toBe(30);
  const all = { ...NONE, requestBytes: 1024, requestSeries: 1000, requestSamples: 10, headSeries: 1000 };
  expect(limitsOf(config, 'anybody')).toEqual(all);
  expect(limitsOf(config, 'acme')).toEqual({ ...NONE, headSeries: 2000 });
  expect(limitsOf(config, 'ajax')).toEqual({ ...all, requestSeries: 50_000, requestSamples: 500 });
  expect(config.warnings).toEqual([
    'limits.yml:4:26: meta_monitoring_url has no effect: Varve counts the series of its head itself',
    'limits.yml:5:34: meta_monitoring_limit_query has no effect: Varve counts the series of its head itself',
  ]);
});

test('our own limits stand beside them', () => {
  const text = `write:
  default: {samples_per_second_limit: 5000, labels_limit: 30, labels_bytes_limit: 4096}
  tenants:
    a: {label_name_bytes_limit: 10, label_value_bytes_limit: 20, labels_limit: 0}
    b:
`;
  const config = parseLimitsConfig(text, 'limits.yml');
  const all = { ...NONE, samplesPerSecond: 5000, labels: 30, labelsBytes: 4096 };
  expect(limitsOf(config, 'b')).toEqual(all);
  expect(limitsOf(config, 'a')).toEqual({ ...all, labels: 128, labelNameBytes: 10, labelValueBytes: 20 });
});

test.each(['', '{}', 'write:', 'write: {}', 'write: {default: , global: , tenants: }'])('%j limits nothing', (text) => {
  expect(parseLimitsConfig(text, 'limits.yml')).toEqual(NO_LIMITS_CONFIG);
});

describe('a file that is wrong is refused with its place', () => {
  test.each([
    ['write:\n  defaults: {}', 'limits.yml:2:3: unknown key "defaults" in write: the nearest is default'],
    [
      'write: {default: {head_series: 1}}',
      'limits.yml:1:19: unknown key "head_series" in write.default: the nearest is head_series_limit',
    ],
    ['write: {default: {head_series_limit: -1}}', 'limits.yml:1:38: head_series_limit: want 0 (no limit) or more'],
    ['write: {default: {head_series_limit: 1.5}}', 'want an integer'],
    ['write: {default: {head_series_limit: many}}', 'want an integer'],
    ['write: {default: {labels_limit: 129}}', 'limits.yml:1:33: labels_limit: want at most 128'],
    ['write: {tenants: {a: {label_value_bytes_limit: 16385}}}', 'label_value_bytes_limit: want at most 16384'],
    ['write: {tenants: {a: {}, a: {}}}', 'Map keys must be unique'],
    ['write: {global: {max_concurrency: x}}', 'write.global.max_concurrency: want an integer'],
    ['write: [', 'limits.yml:1:'],
  ])('%j', (text, message) => {
    expect(() => parseLimitsConfig(text, 'limits.yml')).toThrow(message);
  });
});
