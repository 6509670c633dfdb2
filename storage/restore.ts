/**
 * The way back after the machine is gone: the log that an instance shipped to the bucket becomes the log of an empty data
 * directory, under a higher epoch of the same instance.
 *
 *   list ─► marker of the new epoch ─► log into restore.tmp/wal ─► read through ─► varve.json ─► wal
 *
 * The marker comes first: whoever still runs under the older epoch finds it and stops. With varve.json the restore is done;
 * cut short before, it begins anew, under a further epoch. Nothing of the older epoch is changed here: the first start
 * deletes it after its own checkpoint is in the bucket. Blocks are not downloaded: they are read where they are.
 */
import { type Bucket, bytesContent } from './bucket/bucket.ts';
import { adoptRestoredLog, isRestorable, RESTORE_DIRECTORY } from './data-directory.ts';
import type { Clock } from './io/clock.ts';
import { nextTurn } from './io/executor.ts';
import type { FileSystem } from './io/file-system.ts';
import type { Random } from './io/random.ts';
import { StorageError } from './lib/errors.ts';
import { UlidGenerator } from './lib/ulid.ts';
import { type DownloadProgress, downloadLog } from './ship/download.ts';
import {
  encodeMarker,
  epochPrefix,
  listInstances,
  MARKER_FORMAT,
  MARKER_NAME,
  newestLog,
  parseMarker,
  type ShippedEpoch,
  type ShippedInstance,
} from './ship/shipped-log.ts';
import { recoverWal } from './wal/recovery.ts';

export interface RestoreOptions {
  readonly directory: string;
  readonly bucket: Bucket;
  /** Undefined: the only one that there is. */
  readonly instance?: string;
  /** Undefined: the newest that has a log. */
  readonly epoch?: number;
  /** Only says what would be done. */
  readonly isDryRun?: boolean;
  /** Who restores: for people, in the bucket. */
  readonly host: string;
  readonly fileSystem: FileSystem;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly random: Random;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

export interface RestoreReport {
  readonly instance: string;
  /** Whose log it is, and under which one it goes on. */
  readonly from: number;
  readonly epoch: number;
  readonly bytes: number;
  /** When the newest of it was put into the bucket, in ms since 1970; 0 if the store does not say. */
  readonly lastMs: number;
  /** Records that were read; 0 for a dry run. */
  readonly records: number;
  /** What is missing or damaged, for people; the rest is there. */
  readonly damages: readonly string[];
}

/** It is not clear what to restore: none, or one of several. */
export class RestoreChoiceError extends StorageError {
  override name = 'RestoreChoiceError';
  readonly instances: readonly ShippedInstance[];

  constructor(message: string, instances: readonly ShippedInstance[]) {
    super('invalid', message);
    this.instances = instances;
  }

  /** Whether nobody has shipped a log at all. */
  get isEmpty(): boolean {
    return this.instances.every(({ epochs }) => newestLog(epochs) === undefined);
  }
}

/**
 * Restores into an empty directory. Throws RestoreChoiceError if the bucket has no such log or several; StorageError:
 * 'invalid' if the directory is not empty, 'locked' if somebody has it, else as the bucket does.
 */
export async function restore(options: RestoreOptions): Promise<RestoreReport> {
  const { directory, fileSystem } = options;
  if (!isRestorable(fileSystem, directory)) {
    const advice = 'name another --storage.path, or start without restoring';
    throw new StorageError('invalid', `${directory} is not empty, and a restore would mix two logs: ${advice}`);
  }
  const bucket = options.bucket.for('restore');
  const chosen = choose(await listInstances(bucket), options);
  if (options.isDryRun === true) return { ...planOf(chosen), records: 0, damages: [] };
  fileSystem.makeDirectory(directory);
  const lock = fileSystem.lockDirectory(directory);
  try {
    return await restoreChosen({ ...options, bucket }, chosen);
  } finally {
    lock.close();
  }
}

/** While it reads, the thread answers others this often. */
const TURN_BYTES = 8 * 1024 * 1024;

interface Chosen {
  readonly instance: string;
  readonly log: ShippedEpoch;
  readonly nextEpoch: number;
}

function choose(instances: readonly ShippedInstance[], { instance: wanted, epoch }: RestoreOptions): Chosen {
  // Who has opened an epoch and shipped nothing has nothing to restore.
  const candidates = instances.filter(({ instance, epochs }) =>
    wanted === undefined ? newestLog(epochs) !== undefined : instance === wanted,
  );
  const [candidate, second] = candidates;
  if (candidate === undefined) {
    const whose = wanted === undefined ? 'no instance' : `no instance ${wanted}`;
    throw new RestoreChoiceError(`${whose} has shipped a log to this bucket`, instances);
  }
  if (second !== undefined)
    throw new RestoreChoiceError('several instances have shipped to this bucket: name one with --instance', instances);
  const { instance, epochs } = candidate;
  const log = epoch === undefined ? (newestLog(epochs) ?? epochs.at(-1)) : epochs.find((one) => one.epoch === epoch);
  if (log === undefined)
    throw new RestoreChoiceError(`instance ${instance} has no epoch ${epoch} in this bucket`, instances);
  return { instance, log, nextEpoch: 1 + Math.max(...epochs.map((one) => one.epoch)) };
}

function planOf({ instance, log, nextEpoch }: Chosen): Omit<RestoreReport, 'records' | 'damages'> {
  return { instance, from: log.epoch, epoch: nextEpoch, bytes: log.bytes, lastMs: log.lastMs };
}

async function restoreChosen(options: RestoreOptions, chosen: Chosen): Promise<RestoreReport> {
  const { directory, fileSystem, bucket, onProgress } = options;
  const { instance, log, nextEpoch } = chosen;
  const ulid = await openEpoch(options, chosen);
  const temporary = `${directory}/${RESTORE_DIRECTORY}`;
  const wal = `${temporary}/wal`;
  fileSystem.remove(temporary);
  fileSystem.makeDirectory(wal);
  const target = { fileSystem, directory: wal };
  const { bytes, missing } = await downloadLog(bucket, log, target, onProgress ?? (() => {}));
  fileSystem.syncDirectory(wal);
  fileSystem.syncDirectory(temporary);
  fileSystem.syncDirectory(directory);
  const { records, damages } = await readThrough(fileSystem, temporary);
  await requireOurs(bucket, chosen, ulid);
  adoptRestoredLog(fileSystem, directory, { instance, epoch: nextEpoch, restored: { epoch: log.epoch } });
  return { ...planOf(chosen), bytes, records, damages: [...missing, ...damages] };
}

/** Puts the marker of the new epoch and returns its ULID. */
async function openEpoch(
  { bucket, clock, random, host }: RestoreOptions,
  { instance, log, nextEpoch }: Chosen,
): Promise<string> {
  const now = clock.nowMs();
  const ulid = new UlidGenerator(random).next(now);
  const marker = {
    format: MARKER_FORMAT,
    instance,
    epoch: nextEpoch,
    ulid,
    host,
    opened: new Date(now).toISOString(),
    restored: { epoch: log.epoch, ...endOf(log) },
  };
  await bucket.put(markerName(instance, nextEpoch), bytesContent(encodeMarker(marker)));
  return ulid;
}

/** Behind the last byte of a log. */
function endOf({ parts, checkpoints }: ShippedEpoch): { segment: number; offset: number } {
  const part = parts.at(-1);
  const after = (checkpoints.at(-1)?.number ?? -1) + 1;
  if (part === undefined || part.segment < after) return { segment: after, offset: 0 };
  return { segment: part.segment, offset: part.offset + part.bytes };
}

/** Somebody else may have restored at the same time: one of the two markers is there now. */
async function requireOurs(bucket: Bucket, { instance, nextEpoch }: Chosen, ulid: string): Promise<void> {
  const name = markerName(instance, nextEpoch);
  const found = parseMarker(await bucket.get(name), name);
  if (found.ulid === ulid) return;
  throw new StorageError('invalid', `${instance} is being restored by somebody else, too (${found.host}): see ${name}`);
}

function markerName(instance: string, epoch: number): string {
  return `${epochPrefix(instance, epoch)}${MARKER_NAME}`;
}

/** Every frame of the log is found and checked, as at a start. */
async function readThrough(fileSystem: FileSystem, directory: string): Promise<{ records: number; damages: string[] }> {
  const recovery = recoverWal(fileSystem, directory);
  let sinceTurn = 0;
  for (const { payload } of recovery.frames()) {
    sinceTurn += payload.length;
    if (sinceTurn < TURN_BYTES) continue;
    sinceTurn = 0;
    await nextTurn();
  }
  const { report } = recovery;
  return {
    records: report.frames,
    damages: [
      ...report.damages.map(({ file, offset, length }) => `${file} at ${offset}: ${length} bytes are damaged`),
      ...report.gaps.map(({ first, last }) => `records ${first} to ${last} are missing`),
      ...(report.missingInCheckpoint > 0
        ? [`${report.missingInCheckpoint} records of the checkpoint are missing`]
        : []),
    ],
  };
}
