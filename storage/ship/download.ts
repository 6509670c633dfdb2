/**
 * Downloads a shipped log into files as the log has them: the newest checkpoint, and the parts of all segments behind it,
 * each at its place. Several requests run at once, of bounded length, so that memory stays small.
 */
import type { Bucket } from '../bucket/bucket.ts';
import type { File, FileSystem } from '../io/file-system.ts';
import { CorruptionError } from '../lib/errors.ts';
import { checkpointName, segmentName } from '../wal/segment.ts';
import type { ShippedEpoch, ShippedPart } from './shipped-log.ts';

const REQUESTS_AT_ONCE = 8;
const PIECE_BYTES = 8 * 1024 * 1024;

export interface DownloadProgress {
  readonly bytes: number;
  readonly totalBytes: number;
}

/** A file of the log that is made of objects. */
interface LogFilePlan {
  readonly name: string;
  readonly objects: readonly { readonly name: string; readonly offset: number; readonly bytes: number }[];
}

/** A stretch of an object, and where it goes. */
interface Piece {
  readonly object: string;
  readonly from: number;
  readonly bytes: number;
  readonly file: File;
  readonly to: number;
}

export interface Download {
  readonly bytes: number;
  /** What the bucket lacks in the middle of segments, for people. Where nothing is, zeros are. */
  readonly missing: readonly string[];
}

/** `directory` exists and is empty. When it resolves, all files are durable; their names are after `syncDirectory`. */
export async function downloadLog(
  bucket: Bucket,
  epoch: ShippedEpoch,
  { fileSystem, directory }: { readonly fileSystem: FileSystem; readonly directory: string },
  onProgress: (progress: DownloadProgress) => void,
): Promise<Download> {
  const plans = planFiles(epoch);
  const totalBytes = plans.reduce((sum, { objects }) => sum + objects.reduce((s, { bytes }) => s + bytes, 0), 0);
  let bytes = 0;
  const open = plans.map((plan) => ({ plan, file: fileSystem.open(`${directory}/${plan.name}`, 'create') }));
  try {
    const pieces = open.flatMap(({ plan, file }) => [...piecesOf(plan, file)]);
    await inParallel(pieces, async (piece) => {
      await fetchPiece(bucket, piece);
      bytes += piece.bytes;
      onProgress({ bytes, totalBytes });
    });
    for (const { file } of open) file.sync();
  } finally {
    for (const { file } of open) file.close();
  }
  return { bytes, missing: plans.flatMap(gapsOf) };
}

function planFiles({ checkpoints, parts }: ShippedEpoch): LogFilePlan[] {
  const checkpoint = checkpoints.at(-1);
  const plans: LogFilePlan[] = [];
  if (checkpoint !== undefined)
    plans.push({ name: checkpointName(checkpoint.number), objects: [{ ...checkpoint, offset: 0 }] });
  const bySegment = Map.groupBy(parts, ({ segment }) => segment);
  for (const [segment, ofSegment] of bySegment)
    if (segment > (checkpoint?.number ?? -1))
      plans.push({ name: segmentName(segment), objects: wholeParts(ofSegment) });
  return plans;
}

function wholeParts(parts: readonly ShippedPart[]): ShippedPart[] {
  return parts.filter(({ bytes }) => bytes > 0);
}

function gapsOf({ name, objects }: LogFilePlan): string[] {
  const gaps: string[] = [];
  let end = 0;
  for (const { offset, bytes } of objects) {
    if (offset > end) gaps.push(`segment ${name}: bytes ${end} to ${offset} were never shipped, or are gone`);
    end = Math.max(end, offset + bytes);
  }
  return gaps;
}

function* piecesOf({ objects }: LogFilePlan, file: File): Generator<Piece> {
  for (const { name, offset, bytes } of objects)
    for (let from = 0; from < bytes; from += PIECE_BYTES)
      yield { object: name, from, bytes: Math.min(PIECE_BYTES, bytes - from), file, to: offset + from };
}

async function fetchPiece(bucket: Bucket, { object, from, bytes, file, to }: Piece): Promise<void> {
  const got = await bucket.getRange(object, from, bytes);
  if (got.length !== bytes)
    throw new CorruptionError(object, from + got.length, 'the object is shorter than its listing');
  file.write(got, to);
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, worker));
}
