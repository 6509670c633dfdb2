/** The replay benchmark at a tiny size: it runs, and it measures what it says. */
import { expect, test } from 'vitest';
import { formatReplayReport, parseReplayOptions, runReplay } from '../../bench/replay.ts';

test('the replay benchmark counts what came back, and how long and how much memory it took', async () => {
  const options = parseReplayOptions(['--series=300', '--steps=3', '--per=100']);
  const report = await runReplay(options, () => undefined);
  expect(report.samples).toBe(900);
  for (const figure of ['readySeconds', 'samplesPerSecond', 'walBytes', 'residentPeakBytes'] as const) {
    expect(report[figure], figure).toBeGreaterThan(0);
  }
  expect(report.walBytesPerSample).toBeGreaterThan(1);
  expect(report.replaySeconds).toBeLessThan(report.readySeconds);
  expect(formatReplayReport(report, options)).toContain('samples/s');
});

test('options that make no sense are refused', () => {
  expect(() => parseReplayOptions(['--steps=1'])).toThrow('steps one above 1');
  expect(() => parseReplayOptions(['--serie=1'])).toThrow('--serie');
});
