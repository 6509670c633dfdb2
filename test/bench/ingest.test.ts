/** The ingest benchmark at a tiny size: it runs, it measures what it says, and it refuses what it must. */
import { uncompressSync } from 'snappy';
import { expect, test } from 'vitest';
import {
  formatIngestReport,
  type IngestOptions,
  type IngestReport,
  parseIngestOptions,
  runIngest,
} from '../../bench/ingest.ts';
import { Source } from '../../bench/load/source.ts';
import { TEMPLATES } from '../../bench/load/templates.ts';
import { formatRows, parseRows, type Row, rowOptions } from '../../bench/rows.ts';
import { peers } from '../support/peers.ts';
import { writeRequest } from '../support/remote-write.ts';

function tiny(only: string): IngestOptions {
  return parseIngestOptions(['--series=300', '--steps=4', '--per=100', '--conns=2', '--shuffle', '--only', only]);
}

async function expectFigures(options: IngestOptions): Promise<IngestReport> {
  const report = await runIngest(options, () => undefined);
  expect(report.results.map(({ name }) => name)).toEqual(options.only);
  for (const result of report.results) {
    expect(result).toMatchObject({ errors: 0, firstError: '' });
    for (const figure of ['samplesPerSecond', 'latencyP50Ms', 'residentBytes', 'diskBytes', 'bodyBytes'] as const) {
      expect(result[figure], figure).toBeGreaterThan(0);
    }
    // Hundredths of a second: so little work may be none of them.
    expect(result.cpuMicrosecondsPerSample).toBeGreaterThanOrEqual(0);
  }
  const table = formatIngestReport(report, options);
  for (const name of options.only) expect(table).toContain(name);
  expect(table).toContain('CPU µs a sample');
  return report;
}

test('the ingest benchmark measures Varve and counts its syncs', async () => {
  const { results } = await expectFigures(tiny('varve'));
  expect(results[0]?.syncs).toBeGreaterThan(0);
  expect(results[0]?.cuts).toBeGreaterThanOrEqual(0);
});

test('the ingest benchmark measures Varve as it relabels, and with two replicas', async () => {
  const options = parseIngestOptions(['--series=300', '--steps=4', '--per=100', '--relabel', '--ha', '--only=varve']);
  const report = await expectFigures(options);
  expect(formatIngestReport(report, options)).toContain('(node, five relabel rules, from two replicas)');
});

test.skipIf(!peers.prometheus || !peers.victoriaMetrics)('the ingest benchmark measures the peers', async () => {
  await expectFigures(tiny('prometheus,victoria-metrics'));
});

test('a sender that was away, one of 2.0 and many at a rate are measured', async () => {
  await expectFigures(parseIngestOptions(['--series=300', '--steps=3', '--per=100', '--catch-up', '--only=varve']));
  await expectFigures(parseIngestOptions(['--series=300', '--steps=3', '--protocol=v2', '--only=varve']));
  await expectFigures(
    parseIngestOptions(['--series=300', '--steps=3', '--per=100', '--conns=3', '--rate=50', '--only=varve']),
  );
});

test('rows are chosen by name, and further options override theirs', () => {
  const { rows, rest } = parseRows(['--row', 'kube,v1', '--series=300', '--only', 'varve']);
  expect(rows?.map(({ name }) => name)).toEqual(['v1', 'kube']);
  const kube = rowOptions(rows?.[1] as Row, rest);
  expect(kube).toMatchObject({ template: 'kube', series: 300, only: ['varve'] });
  expect(parseRows([]).rows?.map(({ name }) => name)).not.toContain('peak');
  expect(parseRows(['--row=all']).rows?.map(({ name }) => name)).toContain('peak');
  expect(parseRows(['--series=5']).rows).toBeUndefined();
  expect(() => parseRows(['--row=cube'])).toThrow('no row cube');
});

test('the table says which bars are missed, and nothing where a peer is missing', async () => {
  const [row] = parseRows(['--row=v1']).rows ?? [];
  const report = await runIngest(
    rowOptions(row as Row, ['--series=300', '--steps=2', '--only=varve']),
    () => undefined,
  );
  const [own] = report.results;
  const peer = { ...own, name: 'victoria-metrics', version: '9', cpuMicrosecondsPerSample: 1, samplesPerSecond: 1e12 };
  const text = formatRows([
    { row: row as Row, report: { ...report, results: [{ ...own, cpuMicrosecondsPerSample: 0.1 }, peer] } },
  ] as never);
  expect(text).toMatch(/CPU µs a sample +0\.100 +1\.000 .* ok$/m);
  expect(text).toMatch(/samples\/s .*≥ 2 × victoria-metrics +missed$/m);
  expect(formatRows([{ row: row as Row, report }])).toMatch(/≥ 2 × victoria-metrics$/m);
});

test('a memory file system is refused, and so are servers and numbers that there are not', async () => {
  const quiet = (): void => undefined;
  await expect(runIngest({ ...tiny('varve'), directory: '/dev/shm' }, quiet)).rejects.toThrow('tmpfs');
  await expect(runIngest(tiny('graphite'), quiet)).rejects.toThrow('no server graphite');
  expect(() => parseIngestOptions(['--steps=1'])).toThrow('steps');
  expect(() => parseIngestOptions(['--serie=1'])).toThrow('--serie');
  expect(() => parseIngestOptions(['--churn=10/15'])).toThrow('10/15');
});

test.each(Object.keys(TEMPLATES))('the series of the %s template differ from each other', (name) => {
  const template = TEMPLATES[name]?.() ?? [];
  expect(template.length).toBeGreaterThan(400);
  expect(new Set(template.map(({ labels }) => JSON.stringify(Object.entries(labels).sort()))).size).toBe(
    template.length,
  );
});

test('with churn, memory is looked at after each hour of data', async () => {
  const args = ['--series=1000', '--steps=5', '--interval=1800', '--churn=50%/30m', '--only=varve'];
  const { results } = await expectFigures(parseIngestOptions(args));
  expect(results[0]?.residentAtLooks.length).toBe(2);
});

test('replaced series are others, and the rest goes on', () => {
  const template = ['a', 'b'].map((job) => ({
    labels: { instance: 'host-%i', job, __name__: 'up' },
    movement: 'constant' as const,
    start: 1,
  }));
  const source = new Source(template, 6, 1);
  const targets = (): string[] => {
    const text = Buffer.from(uncompressSync(source.body(0, 6, 1000)) as Buffer).toString('latin1');
    return [...text.matchAll(/host-(\d+)/g)].map(([, target]) => target as string);
  };
  expect(targets()).toEqual(['00000', '00000', '00001', '00001', '00002', '00002']);
  source.replace(0.3);
  expect(targets()).toEqual(['00003', '00003', '00001', '00001', '00002', '00002']);
  source.replace(0.7);
  expect(targets()).toEqual(['00003', '00003', '00004', '00004', '00005', '00005']);
});

test('a body is what protobufjs makes of the same series', () => {
  const source = new Source([{ labels: { job: 'a', __name__: 'up' }, movement: 'constant', start: 1.5 }], 2, 1);
  const samples = [[1_700_000_000_000, 1.5]] as const;
  const series = {
    labels: [
      ['__name__', 'up'],
      ['job', 'a'],
    ] as const,
    samples,
  };
  expect(source.body(0, 2, samples[0][0])).toEqual(writeRequest([series, series]));
});
