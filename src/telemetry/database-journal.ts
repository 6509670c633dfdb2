import type { BlockEvent, Clock, DatabaseEvent } from '../../storage/index.ts';
import type { Log, LogFields, LogLevel } from './log.ts';

/** A long replay says how far it is this often. */
const PROGRESS_EVERY_MS = 5000;

/** Bytes of the WAL that are read, of how many; and its segments by number. */
export type ReplayProgress = Omit<Extract<DatabaseEvent, { kind: 'replay-progress' }>, 'kind'>;

interface Line {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields?: LogFields;
}

/** Keeps the log of what the engine reports, and remembers how far a replay is. */
export class DatabaseJournal {
  /** Undefined before a replay has begun. */
  replayProgress: ReplayProgress | undefined;
  readonly #log: Log;
  readonly #clock: Clock;
  #progressLoggedMs: number;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#progressLoggedMs = clock.monotonicMs();
  }

  record(event: DatabaseEvent): void {
    if (event.kind === 'replay-progress') {
      const { kind: _, ...progress } = event;
      this.#recordProgress(progress);
      return;
    }
    const { level, message, fields } = lineOf(event);
    this.#log[level](message, fields);
  }

  #recordProgress(progress: ReplayProgress): void {
    const { replayedBytes, totalBytes } = progress;
    this.replayProgress = progress;
    const now = this.#clock.monotonicMs();
    if (now - this.#progressLoggedMs < PROGRESS_EVERY_MS) return;
    this.#progressLoggedMs = now;
    const percent = totalBytes === 0 ? 100 : Math.floor((replayedBytes / totalBytes) * 100);
    this.#log.info('replaying the WAL', { percent, replayed_bytes: replayedBytes, total_bytes: totalBytes });
  }
}

function lineOf(event: Exclude<DatabaseEvent, { kind: 'replay-progress' }>): Line {
  switch (event.kind) {
    case 'cut': {
      const { tenant, ulid, minTimeMs, maxTimeMs, series, samples, durationMs } = event;
      const range = `${new Date(minTimeMs).toISOString()}/${new Date(maxTimeMs).toISOString()}`;
      const fields = { tenant, ulid, range, series, samples, duration: `${Math.round(durationMs)}ms` };
      return { level: 'info', message: 'block written', fields };
    }
    case 'checkpoint': {
      const fields = { bytes: event.bytes, duration: `${Math.round(event.durationMs)}ms` };
      return { level: 'info', message: 'WAL checkpoint written', fields };
    }
    case 'wal-failing':
      return fault('the WAL cannot be written: writes get 503 until it can', event.message);
    case 'wal-recovered':
      return { level: 'info', message: 'the WAL can be written again' };
    case 'disk-short':
      return fault('the disk is nearly full: writes get 503 until there is space', event.message);
    case 'disk-roomy':
      return { level: 'info', message: 'the disk has space again' };
    case 'ha-elected': {
      const { kind: _, ...fields } = event;
      return { level: event.previous === '' ? 'info' : 'warn', message: 'a replica was elected', fields };
    }
    case 'ha-missing-series': {
      const { kind: _, ...fields } = event;
      const message =
        'a replica that is not elected has series that are not stored: are its Prometheus servers shards and no replicas?';
      return { level: 'warn', message, fields };
    }
    case 'wal-damage':
      return { level: 'warn', message: 'damage in the WAL', fields: { damage: event.message } };
    case 'block-quarantined':
      return {
        level: 'error',
        message: 'a damaged block is left out of answers',
        fields: { ulid: event.ulid, damage: event.message },
      };
    case 'retry':
      return {
        level: 'warn',
        message: 'work beside the writes failed and is tried again',
        fields: { work: event.what, error: event.message },
      };
    case 'ship-failing':
    case 'ship-recovered':
    case 'fenced':
      return shipLine(event);
    case 'failed':
      return fault('the engine has failed: the process ends, and the WAL restores what it held', event.message);
    default:
      return blockLineOf(event);
  }
}

function blockLineOf(event: BlockEvent): Line {
  switch (event.kind) {
    case 'block-skipped':
      return { level: 'warn', message: 'a block was left out', fields: { reason: event.message } };
    case 'catalog-lost':
      return { level: 'warn', message: 'the catalogue of blocks was lost', fields: { reason: event.message } };
    case 'block-uploaded': {
      const { ulid, bytes, sentBytes: sent, durationMs } = event;
      return {
        level: 'info',
        message: 'block uploaded',
        fields: { ulid, bytes, sent, duration: `${Math.round(durationMs)}ms` },
      };
    }
    case 'upload-retry':
      return {
        level: 'warn',
        message: 'a block could not be uploaded: it stays on this disk and is tried again',
        fields: { ulid: event.ulid, error: event.message },
      };
    case 'block-damaged':
      return {
        level: 'error',
        message: event.isUploadedAgain
          ? 'a block in the bucket was damaged: the copy on this disk is uploaded again'
          : 'a block in the bucket is damaged, and there is no copy of it on this disk',
        fields: { ulid: event.ulid, reason: event.message },
      };
    case 'block-evicted':
      return {
        level: 'info',
        message: 'the copy of an uploaded block made room',
        fields: { ulid: event.ulid, bytes: event.bytes },
      };
    case 'bucket-synced': {
      const { blocks, added, vanished, strays, durationMs } = event;
      const fields = { blocks, added, vanished, strays: strays.join(' '), duration: `${Math.round(durationMs)}ms` };
      return { level: added + vanished > 0 ? 'info' : 'debug', message: 'bucket listed', fields };
    }
    case 'bucket-failing':
      return fault('the bucket does not answer: new blocks stay on this disk until it does', event.message);
    case 'bucket-recovered':
      return { level: 'info', message: 'the bucket answers again' };
    case 'bucket-emptied':
      return {
        level: 'error',
        message: 'the bucket is empty: was it deleted, or is it another one? What is on this disk is uploaded again',
        fields: { blocks_known: event.known },
      };
  }
}

type ShipEvent = Extract<DatabaseEvent, { kind: 'ship-failing' | 'ship-recovered' | 'fenced' }>;

function shipLine(event: ShipEvent): Line {
  if (event.kind === 'ship-recovered') return { level: 'info', message: 'the WAL is in the bucket again' };
  const { message: error } = event;
  if (event.kind === 'fenced')
    return fault('another process has this instance: writes get 503, and the bucket is left alone', error);
  const message = 'the WAL cannot be shipped to the bucket: it is kept here and tried again';
  return { level: 'warn', message, fields: { error } };
}

function fault(message: string, error: string): Line {
  return { level: 'error', message, fields: { error } };
}
