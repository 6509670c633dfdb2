import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { FirstWrite } from '../../../src/api/service.ts';
import { banner, firstWriteText } from '../../../src/cli/banner.ts';
import { peers } from '../../support/peers.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

const text = banner({
  version: '0.1.0',
  readyAfterMs: 212.4,
  addresses: ['http://127.0.0.1:8470'],
  url: 'http://127.0.0.1:8470',
  needsPassword: false,
  dataDirectory: '/srv/varve/data',
  bucket: '/srv/varve/data/bucket',
  memoryBudgetBytes: 2 * 1024 ** 3,
});

/** The lines of the banner that are to be pasted. */
function snippet(): string {
  return /^remote_write:\n(?:.+\n)+/m.exec(text)?.[0] ?? '';
}

function firstWrite(more: Partial<FirstWrite>, outcome: Partial<FirstWrite['outcome']> = {}): FirstWrite {
  const written = { samples: 512, histograms: 0, exemplars: 0 };
  const stored = {
    received: 512,
    stored: 512,
    duplicates: 0,
    conflicts: 0,
    rejected: 0,
    newSeries: 500,
    written,
    newestMs: 0,
  };
  return {
    remoteAddress: '127.0.0.1',
    userAgent: 'Prometheus/2.42.0',
    tenant: 'default-tenant',
    outcome: { ...stored, dropped: { relabel: 0, ha: 0, shadow: 0 }, message: '', rejectedBy: new Map(), ...outcome },
    durableAfterMs: 2.13,
    ...more,
  };
}

test('the banner says where everything is and what to do next', () => {
  expect(text).toMatchInlineSnapshot(`
    "Varve 0.1.0, ready after 0.21 s
      address  http://127.0.0.1:8470
      data     /srv/varve/data
      bucket   /srv/varve/data/bucket
      memory   2 GiB for what is not in blocks yet

    Add to prometheus.yml:

    remote_write:
      - url: http://127.0.0.1:8470/api/v1/write
    remote_read:
      - url: http://127.0.0.1:8470/api/v1/read

    waiting for the first sample …
    "
  `);
});

test('the snippet can be pasted into a configuration', () => {
  expect(parse(`global:\n  scrape_interval: 15s\n${snippet()}`)).toEqual({
    global: { scrape_interval: '15s' },
    remote_write: [{ url: 'http://127.0.0.1:8470/api/v1/write' }],
    remote_read: [{ url: 'http://127.0.0.1:8470/api/v1/read' }],
  });
});

test.skipIf(!peers.promtool)('promtool takes the snippet', () => {
  using directory = new TemporaryDirectory('banner');
  const path = join(directory.path, 'prometheus.yml');
  writeFileSync(path, snippet());
  const { status, stderr } = spawnSync('promtool', ['check', 'config', path], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('the first write says who wrote, how much, and when it was on disk', () => {
  expect(firstWriteText(firstWrite({}))).toMatchInlineSnapshot(`
    "first write from 127.0.0.1 (Prometheus/2.42.0), tenant default-tenant
      512 samples stored, 500 new series, 0 rejected, on disk after 2.1 ms
    "
  `);
});

test('the first write says why samples were rejected', () => {
  const message = 'stored 1 of 2 samples; rejected 1: label names not unique {a="1"}';
  expect(firstWriteText(firstWrite({}, { stored: 1, rejected: 1, newSeries: 1, message }))).toMatchInlineSnapshot(`
    "first write from 127.0.0.1 (Prometheus/2.42.0), tenant default-tenant
      1 sample stored, 1 new series, 1 rejected, on disk after 2.1 ms
      stored 1 of 2 samples; rejected 1: label names not unique {a="1"}
    "
  `);
});

test('a sender cannot draw on the terminal', () => {
  const [line] = firstWriteText(firstWrite({ userAgent: `\u001b[2J\r\n\u009b\u202e${'x'.repeat(1000)}` })).split('\n');
  expect(line).toMatch(/^first write from 127\.0\.0\.1 \(\?\[2J\?{4}x+\), tenant default-tenant$/);
  expect(line?.length).toBeLessThan(300);
  expect(firstWriteText(firstWrite({ userAgent: '' }))).toContain('127.0.0.1 (no user agent)');
});
