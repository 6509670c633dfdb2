/**
 * When the disk will be full, and how much will be in the bucket: straight lines through what is known. Blocks say how many
 * bytes a day of samples takes, from the first one on and without waiting for days; what else fills the disk is measured.
 */
import type { BlockGrowth } from '../../storage/index.ts';

const DAY_MS = 86_400_000;
/** A block is of a window of 2 h; a shorter one, of a tenant that fell silent, says nothing of a day. */
const SHORTEST_SPAN_MS = 7_200_000;
/** The log and the caches rise and fall within hours. */
const LEAST_MEASURED_MS = 6 * 3_600_000;
export const BUCKET_FORECAST_DAYS = 30;

/** Space on the disk that blocks do not take, at a time. */
export interface SpaceSample {
  readonly atMs: number;
  readonly bytes: number;
}

export interface ForecastInput {
  /** Blocks that were cut here. */
  readonly own: BlockGrowth;
  /** Space that writes may still take. */
  readonly availableBytes: number;
  /** Oldest first. */
  readonly space: readonly SpaceSample[];
  /** Undefined: blocks stay on the disk. */
  readonly bucket?: {
    readonly growth: BlockGrowth;
    readonly bytes: number;
    /** Copies on the disk of blocks that are in the bucket: they make room when it is needed. */
    readonly copyBytes: number;
  };
}

/** undefined: not known yet. Infinity: never, as things are. */
export interface Forecast {
  readonly disk: {
    /** Blocks that are cut. With a bucket they do not stay. */
    readonly blockBytesADay: number | undefined;
    /** All that is no block. */
    readonly otherBytesADay: number | undefined;
    readonly availableBytes: number;
    readonly daysUntilFull: number | undefined;
    /** The same if the bucket did not answer from now on; undefined without a bucket too. */
    readonly daysWithoutBucket: number | undefined;
  };
  readonly bucket:
    | {
        readonly bytes: number;
        readonly bytesADay: number | undefined;
        /** In BUCKET_FORECAST_DAYS. */
        readonly expectedBytes: number | undefined;
      }
    | undefined;
}

export function forecast({ own, availableBytes, space, bucket }: ForecastInput): Forecast {
  const blockBytesADay = bytesADay(own);
  const otherBytesADay = declineADay(space);
  const withoutBucket =
    blockBytesADay && (availableBytes + (bucket?.copyBytes ?? 0)) / (blockBytesADay + (otherBytesADay ?? 0));
  const withBucket =
    otherBytesADay === undefined ? undefined : (availableBytes + (bucket?.copyBytes ?? 0)) / otherBytesADay;
  const bucketBytesADay = bucket && bytesADay(bucket.growth);
  return {
    disk: {
      blockBytesADay,
      otherBytesADay,
      availableBytes,
      daysUntilFull: bucket === undefined ? withoutBucket : withBucket,
      daysWithoutBucket: bucket === undefined ? undefined : withoutBucket,
    },
    bucket: bucket && {
      bytes: bucket.bytes,
      bytesADay: bucketBytesADay,
      expectedBytes: bucketBytesADay && bucket.bytes + BUCKET_FORECAST_DAYS * bucketBytesADay,
    },
  };
}

/** Bytes that a day of samples takes in blocks; undefined if there are none. */
export function bytesADay({ bytes, spanMs }: BlockGrowth): number | undefined {
  return bytes === 0 ? undefined : (bytes / Math.max(spanMs, SHORTEST_SPAN_MS)) * DAY_MS;
}

/** By how much the space shrinks a day; 0 if it grows, undefined while it was watched for too short a time. */
export function declineADay(space: readonly SpaceSample[]): number | undefined {
  const first = space[0];
  const last = space.at(-1);
  if (first === undefined || last === undefined || last.atMs - first.atMs < LEAST_MEASURED_MS) return undefined;
  return (Math.max(0, first.bytes - last.bytes) / (last.atMs - first.atMs)) * DAY_MS;
}
