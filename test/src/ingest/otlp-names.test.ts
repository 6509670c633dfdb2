import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { labelName, type MetricKind, metricName } from '../../../src/ingest/otlp-names.ts';

describe('the name of a metric', () => {
  // Facts from upstream's metric_namer_test.go and unit tables, and from its code where no test has them.
  const rows: [name: string, unit: string, kind: MetricKind, expected: string | undefined][] = [
    ['simple_metric', '', 'gauge', 'simple_metric'],
    ['http.server.request.duration', 's', 'other', 'http_server_request_duration_seconds'],
    ['metric@with#special$chars', '', 'gauge', 'metric_with_special_chars'],
    ['metric@@##$$name', '', 'gauge', 'metric_name'],
    ['a__b', '', 'gauge', 'a_b'],
    ['_leading.and.trailing_', '', 'gauge', 'leading_and_trailing'],
    ['with:colon', '', 'gauge', 'with:colon'],
    ['größe.バイト.x', '', 'gauge', 'gr_e_x'],
    ['123metric', '', 'gauge', '_123metric'],
    ['requests', '', 'counter', 'requests_total'],
    ['requests_total', '', 'counter', 'requests_total'],
    ['total.requests', '', 'counter', 'requests_total'],
    ['items', '1', 'counter', 'items_total'],
    ['cpu_usage', '1', 'gauge', 'cpu_usage_ratio'],
    ['cpu_usage_ratio', '1', 'gauge', 'cpu_usage_ratio'],
    ['ratio.of.cpu', '1', 'gauge', 'of_cpu_ratio'],
    ['load', '1', 'other', 'load'],
    ['response_time', 'ms', 'gauge', 'response_time_milliseconds'],
    ['memory_usage', 'By', 'gauge', 'memory_usage_bytes'],
    ['network.io', 'By', 'counter', 'network_io_bytes_total'],
    ['network.io', 'By/s', 'counter', 'network_io_bytes_per_second_total'],
    ['requests', '1/s', 'gauge', 'requests_per_second'],
    ['throughput', 'By/s', 'gauge', 'throughput_bytes_per_second'],
    ['speed', 'm/m', 'gauge', 'speed_meters_per_minute'],
    ['growth', 'By/mo', 'gauge', 'growth_bytes_per_month'],
    ['growth', 'By/fortnight', 'gauge', 'growth_bytes_per_fortnight'],
    ['custom_metric', 'custom_unit', 'gauge', 'custom_metric_custom_unit'],
    ['custom_metric', '{custom}', 'gauge', 'custom_metric'],
    ['custom_metric', 'By/{custom}', 'gauge', 'custom_metric_bytes'],
    ['custom_metric', '{packet}/s', 'gauge', 'custom_metric_per_second'],
    ['response_time_seconds', 's', 'gauge', 'response_time_seconds'],
    ['seconds.since.start', 's', 'gauge', 'seconds_since_start'],
    ['temperature', 'Cel', 'gauge', 'temperature_celsius'],
    ['fill', '%', 'gauge', 'fill_percent'],
    ['speed', 'km/h', 'gauge', 'speed_km_per_hour'],
    ['speed', ' s ', 'gauge', 'speed_seconds'],
    ['rate', 's/', 'gauge', 'rate_seconds'],
    ['rate', 'a/b/c', 'gauge', 'rate_a_per_b_c'],
    ['odd', '__test $/°C', 'gauge', 'odd_test_per_C'],
    ['odd', '$', 'gauge', 'odd'],
    ['odd', 'x/€', 'gauge', 'odd_x'],
    ['', 's', 'gauge', 'seconds'],
    ['', '', 'gauge', undefined],
    ['@#$%', '', 'gauge', undefined],
    ['@_#_$_%', '', 'gauge', undefined],
    ['@', '', 'counter', 'total'],
    ['__proto__', '', 'gauge', 'proto'],
    ['x', 'constructor', 'gauge', 'x_constructor'],
  ];
  test.each(rows)('%j with unit %j as a %s is %s', (name, unit, kind, expected) => {
    expect(metricName(name, unit, kind)).toBe(expected);
  });

  test('is always one that every Prometheus accepts', () => {
    const kinds = fc.constantFrom<MetricKind>('gauge', 'counter', 'other');
    const text = fc.string({ unit: fc.constantFrom(...'aZ9_.:-/{} sé€😀%1') });
    fc.assert(
      fc.property(text, text, kinds, (name, unit, kind) => {
        expect(metricName(name, unit, kind) ?? 'none').toMatch(/^[a-zA-Z_:][a-zA-Z0-9_:]*$/);
      }),
    );
  });
});

describe('the name of a label', () => {
  // Facts from upstream's label_namer_test.go, with what Prometheus's configuration has by default: underscores are
  // kept as they are, and one at the beginning gets `key`.
  const rows: [key: string, expected: string | undefined][] = [
    ['label', 'label'],
    ['label:with:colons', 'label_with_colons'],
    ['LabelWithCapitalLetters', 'LabelWithCapitalLetters'],
    ['label!with&special$chars)', 'label_with_special_chars_'],
    ['label_with_foreign_characters_字符', 'label_with_foreign_characters___'],
    ['label.with.dots', 'label_with_dots'],
    ['one😀character', 'one_character'],
    ['123label', 'key_123label'],
    ['.foo', 'key_foo'],
    ['_label_starting_with_underscore', 'key_label_starting_with_underscore'],
    ['__label_starting_with_2underscores', '__label_starting_with_2underscores'],
    ['label__with__double__underscores', 'label__with__double__underscores'],
    ['__reserved__label__name__', '__reserved__label__name__'],
    ['trailing_underscores___', 'trailing_underscores___'],
    ['__proto__', '__proto__'],
    ['_', 'key_'],
    ['ようこそ', undefined],
    ['__', undefined],
    ['', undefined],
  ];
  test.each(rows)('%j is %s', (key, expected) => {
    expect(labelName(key)).toBe(expected);
  });

  test('is always one that every Prometheus accepts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (key) => {
        expect(labelName(key) ?? 'none').toMatch(/^[a-zA-Z_][a-zA-Z0-9_]*$/);
      }),
    );
  });
});
