import { expect, test } from 'vitest';
import { formatCatalogReport, runCatalog } from '../../bench/catalog.ts';

test('the benchmark of the catalogue starts with and without one, and finds all blocks both times', () => {
  const report = runCatalog({ blocks: 500 }, () => {});
  for (const start of [report.cold, report.warm]) {
    expect(start).toMatchObject({ blocks: 500, selected: 360 });
    expect(start.allMs).toBeGreaterThanOrEqual(start.openMs);
  }
  expect(formatCatalogReport(report)).toContain('| with its catalogue | 500 |');
});
