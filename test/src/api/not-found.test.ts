import { expect, test } from 'vitest';
import { notFoundText } from '../../../src/api/not-found.ts';

const rows: [path: string, nearest: string][] = [
  ['/write', '/api/v1/write'],
  ['/api/v1/writes', '/api/v1/write'],
  ['/api/v1/remote_write', '/api/v1/write'],
  ['/api/v1/remote-write', '/api/v1/write'],
  ['/api/v2/write', '/api/v1/write'],
  ['/receive', '/api/v1/write'],
  ['/:19009/ingest', '/api/v1/write'],
  ['/ingest', '/api/v1/write'],
  ['/api/v1/PUSH', '/api/v1/write'],
  ['/insert/0/influx/write', '/api/v1/write'],
  ['/insert/0/', '/api/v1/write'],
  ['//api/v1/write', '/api/v1/write'],
  ['/api/v1/write/write', '/api/v1/write'],
  ['/otlp', '/api/v1/otlp/v1/metrics'],
  ['/v1/metrics', '/api/v1/otlp/v1/metrics'],
  ['/api/v1/otlp/metrics', '/api/v1/otlp/v1/metrics'],
  ['/opentelemetry/api/v1/push', '/api/v1/otlp/v1/metrics'],
  ['/read', '/api/v1/read'],
  ['/api/v1/remote_read', '/api/v1/read'],
  ['/select/0/', '/api/v1/read'],
  ['/healthz', '/-/healthy'],
  ['/readyz', '/-/ready'],
  ['/-/redy', '/-/ready'],
  ['/label/job/values', '/api/v1/label/<name>/values'],
  ['/api/v1/lables', '/api/v1/labels'],
  ['/api/v1/serie', '/api/v1/series'],
  ['/api/v1/buildinfo', '/api/v1/status/buildinfo'],
  ['/prometheus/metrics', '/metrics'],
];
test.each(rows)('%s names %s', (path, nearest) => {
  expect(notFoundText(path, '')).toBe(`404 page not found: ${JSON.stringify(path)}; did you mean ${nearest}?`);
});

test('the route prefix is part of the path that is named', () => {
  expect(notFoundText('/api/v1/write', '/varve')).toContain('did you mean /varve/api/v1/write?');
});

test.each(['/', '/favicon.ico', '/graph', '/config/v1/rules'])('%s is near to nothing: all paths are named', (path) => {
  expect(notFoundText(path, '/p')).toMatch(/^404 page not found: .*; there are \/p\/api\/v1\/write, .*\/p\/-\/ready$/);
});

test.each(['/api/v1/query', '/api/v1/query_range', '/prometheus/api/v1/rules'])(
  '%s is said to be not there yet',
  (path) => {
    expect(notFoundText(path, '')).toMatch(
      /is not served yet; a Prometheus with remote_read at \/api\/v1\/read can query$/,
    );
  },
);

test.each(['/v1/traces', '/otlp/v1/logs', '/api/v1/otlp/v1development/profiles'])(
  '%s is said not to be metrics',
  (path) => {
    expect(notFoundText(path, '/p')).toMatch(
      /is not served: of OTLP only metrics are, at \/p\/api\/v1\/otlp\/v1\/metrics$/,
    );
  },
);

test('a path is shown escaped and cut, whatever it is', () => {
  expect(notFoundText('/<script>\n', '')).toContain('"/<script>\\n"');
  expect(notFoundText(`/${'x'.repeat(10_000)}`, '').length).toBeLessThan(500);
});
