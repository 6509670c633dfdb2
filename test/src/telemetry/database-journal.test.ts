import { expect, test } from 'vitest';
import { DatabaseJournal } from '../../../src/telemetry/database-journal.ts';
import { createLog } from '../../../src/telemetry/log.ts';
import type { DatabaseEvent } from '../../../storage/index.ts';

/** A journal at a clock that stands where it is put, and the lines it writes without their time. */
function journal(): { record: (event: DatabaseEvent, monotonicMs?: number) => string[]; journal: DatabaseJournal } {
  let nowMs = 0;
  const lines: string[] = [];
  const clock = { nowMs: () => 0, monotonicMs: () => nowMs, every: () => () => {}, after: () => () => {} };
  const write = (line: string): void => void lines.push(line.replace(/^ts=\S+ /, ''));
  const subject = new DatabaseJournal(createLog({ level: 'info', format: 'logfmt', clock, write }), clock);
  return {
    journal: subject,
    record(event, monotonicMs = nowMs) {
      nowMs = monotonicMs;
      lines.length = 0;
      subject.record(event);
      return [...lines];
    },
  };
}

test('a long replay says how far it is every five seconds, and always knows', () => {
  const { journal: subject, record } = journal();
  expect(subject.replayProgress).toBeUndefined();
  const rest = { totalBytes: 200, firstSegment: 1, lastSegment: 3, segment: 2 };
  const at = (replayedBytes: number): DatabaseEvent => ({ kind: 'replay-progress', replayedBytes, ...rest });
  expect(record(at(10), 100)).toEqual([]);
  expect(subject.replayProgress).toEqual({ replayedBytes: 10, ...rest });
  expect(record(at(82), 5000)).toEqual([
    'level=info msg="replaying the WAL" percent=41 replayed_bytes=82 total_bytes=200\n',
  ]);
  expect(record(at(90), 9999)).toEqual([]);
});

test('a block, a checkpoint and a fault are a line each', () => {
  const { record } = journal();
  const cut: DatabaseEvent = {
    kind: 'cut',
    tenant: 'a',
    ulid: '01HZZZZZZZZZZZZZZZZZZZZZZZ',
    minTimeMs: 0,
    maxTimeMs: 7_200_000,
    series: 2,
    samples: 960,
    durationMs: 12.4,
  };
  expect(record(cut)).toEqual([
    'level=info msg="block written" tenant=a ulid=01HZZZZZZZZZZZZZZZZZZZZZZZ ' +
      'range=1970-01-01T00:00:00.000Z/1970-01-01T02:00:00.000Z series=2 samples=960 duration=12ms\n',
  ]);
  expect(record({ kind: 'checkpoint', bytes: 77, durationMs: 3 })).toEqual([
    'level=info msg="WAL checkpoint written" bytes=77 duration=3ms\n',
  ]);
  expect(record({ kind: 'wal-failing', message: 'ENOSPC' })).toEqual([
    'level=error msg="the WAL cannot be written: writes get 503 until it can" error=ENOSPC\n',
  ]);
  expect(record({ kind: 'wal-recovered' })).toEqual(['level=info msg="the WAL can be written again"\n']);
});
