import { expect, test } from 'vitest';
import { createLog, type Log, type LogFormat, type LogLevel } from '../../../src/telemetry/log.ts';

function record(write: (log: Log) => void, format: LogFormat = 'logfmt', level: LogLevel = 'debug'): string[] {
  const lines: string[] = [];
  const clock = { nowMs: () => Date.UTC(2026, 10, 20, 12, 30, 0, 123) };
  write(createLog({ level, format, clock, write: (line) => void lines.push(line) }));
  return lines;
}

test('a line has its time, level and message first, then its fields', () => {
  expect(
    record((log) => log.info('block written', { tenant: 'a', series: 12, whole: true, left_out: undefined })),
  ).toEqual(['ts=2026-11-20T12:30:00.123Z level=info msg="block written" tenant=a series=12 whole=true\n']);
});

test('lines below the level are left out', () => {
  const all = (log: Log): void => {
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level]('x');
  };
  expect(record(all, 'logfmt', 'warn').map((line) => line.split(' ')[1])).toEqual(['level=warn', 'level=error']);
  expect(record(all, 'json', 'debug')).toHaveLength(4);
});

test.each([
  ['', '""'],
  ['a b', '"a b"'],
  ['a=b', '"a=b"'],
  ['say "hi"', '"say \\"hi\\""'],
  ['back\\slash', '"back\\\\slash"'],
  ['two\r\nlines level=error', '"two\\r\\nlines level=error"'],
  ['\u0000\u001b[31m\u007f\u009b', '"\\u0000\\u001b[31m\\u007f\\u009b"'],
  ['\u2028\u2029\u202e', '"\\u2028\\u2029\\u202e"'],
  ['\ud800', '"\ufffd"'],
  ['größer', '"größer"'],
  ['http://127.0.0.1:8470/-/ready', 'http://127.0.0.1:8470/-/ready'],
])('the value %j is written so that it stays one value on one line', (value, shown) => {
  expect(record((log) => log.warn('x', { value }))).toEqual([
    `ts=2026-11-20T12:30:00.123Z level=warn msg=x value=${shown}\n`,
  ]);
  const [json] = record((log) => log.warn('x', { value }), 'json');
  expect(JSON.parse(json as string).value).toBe(value.toWellFormed());
  // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is the point.
  expect(json).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202e]/);
});

test('a key cannot smuggle in a field', () => {
  expect(record((log) => log.info('x', { 'a b=c': 1 }))[0]).toContain(' a_b_c=1\n');
});

test('an error is shown by its message, without a stack', () => {
  const [line] = record((log) => log.error('failed', { error: new Error('disk is full') }), 'json');
  expect(JSON.parse(line as string)).toEqual({
    ts: '2026-11-20T12:30:00.123Z',
    level: 'error',
    msg: 'failed',
    error: 'disk is full',
  });
});
