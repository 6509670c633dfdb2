/**
 * The names of the shipped log in the bucket, and what a listing of them says. The bytes of a segment are parts that
 * follow each other, each named by its segment and offset; a checkpoint is one object. Spec: docs/formats/shipped-wal.md.
 *
 *   varve/wal/<instance>/00000001/epoch.json                  who opened the epoch
 *                                 00000007.000000000000       a part: segment 7 from its first byte
 *                                 00000007.000000004711
 *                                 checkpoint.00000006         stands for all segments up to 6
 */
import type { Bucket, BucketObject } from '../bucket/bucket.ts';
import { CorruptionError } from '../lib/errors.ts';
import { isUlid } from '../lib/ulid.ts';
import { checkpointName, segmentName } from '../wal/segment.ts';

export const SHIPPED_PREFIX = 'varve/wal/';
export const MARKER_NAME = 'epoch.json';
export const MARKER_FORMAT = 1;

const EPOCH_NAME = /^\d{8,}$/;
const PART_NAME = /^(\d{8,})\.(\d{12,})$/;
const CHECKPOINT_NAME = /^checkpoint\.(\d{8,})$/;
const OFFSET_DIGITS = 12;

/** Bytes of a segment, `[offset, offset + bytes)`. */
export interface ShippedPart {
  readonly name: string;
  readonly segment: number;
  readonly offset: number;
  readonly bytes: number;
}

export interface ShippedCheckpoint {
  readonly name: string;
  readonly number: number;
  readonly bytes: number;
}

/** What the bucket has of an epoch. */
export interface ShippedEpoch {
  readonly epoch: number;
  readonly hasMarker: boolean;
  /** By segment and offset. */
  readonly parts: readonly ShippedPart[];
  /** By number. */
  readonly checkpoints: readonly ShippedCheckpoint[];
  /** When the newest object was put there, in ms since 1970; 0 if the store does not say. */
  readonly lastMs: number;
  readonly bytes: number;
}

export interface ShippedInstance {
  readonly instance: string;
  /** The lowest first. */
  readonly epochs: readonly ShippedEpoch[];
}

/** The content of the first object of an epoch. */
export interface EpochMarker {
  readonly format: number;
  readonly instance: string;
  readonly epoch: number;
  /** Of two who open the same epoch at once, the one whose ULID stands there in the end has it. */
  readonly ulid: string;
  readonly host: string;
  /** RFC 3339. */
  readonly opened: string;
  /** What was taken over; none for a new instance. */
  readonly restored?: RestoredLog;
}

/** The log that a restore took: of an epoch, everything before this place. What came there later is not its to delete. */
export interface RestoredLog {
  readonly epoch: number;
  readonly segment: number;
  readonly offset: number;
}

export function instancePrefix(instance: string): string {
  return `${SHIPPED_PREFIX}${instance}/`;
}

export function epochPrefix(instance: string, epoch: number): string {
  return `${instancePrefix(instance)}${segmentName(epoch)}/`;
}

export function partName(segment: number, offset: number): string {
  return `${segmentName(segment)}.${String(offset).padStart(OFFSET_DIGITS, '0')}`;
}

/** The name of a checkpoint, the same as on disk. */
export function shippedCheckpointName(number: number): string {
  return checkpointName(number);
}

/** The content of a marker. */
export function encodeMarker(marker: EpochMarker): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(marker)}\n`);
}

/** Throws CorruptionError that names the object. */
export function parseMarker(bytes: Uint8Array, name: string): EpochMarker {
  try {
    const marker = JSON.parse(new TextDecoder().decode(bytes)) as Partial<EpochMarker>;
    if (Number.isInteger(marker.format) && typeof marker.ulid === 'string') return marker as EpochMarker;
  } catch {
    // The same error: nobody of us wrote it.
  }
  throw new CorruptionError(name, 0, 'not the marker of an epoch');
}

/** The epochs among the directories of an instance. */
export function epochNames(names: readonly string[]): number[] {
  return names.filter((name) => EPOCH_NAME.test(name)).map(Number);
}

/** What the bucket has of one epoch. */
export async function listEpoch(bucket: Bucket, instance: string, epoch: number): Promise<ShippedEpoch> {
  const builder = new EpochBuilder(epoch);
  const prefix = epochPrefix(instance, epoch);
  for await (const page of bucket.list(prefix))
    for (const object of page) builder.add(object.name.slice(prefix.length), object);
  return builder.build();
}

/** Every instance that shipped a log, by name, with all of its epochs. */
export async function listInstances(bucket: Bucket): Promise<ShippedInstance[]> {
  const instances = new Map<string, Map<number, EpochBuilder>>();
  for await (const page of bucket.list(SHIPPED_PREFIX)) {
    for (const object of page) {
      const [instance = '', epoch = '', name = ''] = object.name.slice(SHIPPED_PREFIX.length).split('/');
      if (!isUlid(instance) || !EPOCH_NAME.test(epoch)) continue;
      const epochs = instances.get(instance) ?? new Map<number, EpochBuilder>();
      instances.set(instance, epochs);
      const builder = epochs.get(Number(epoch)) ?? new EpochBuilder(Number(epoch));
      epochs.set(Number(epoch), builder);
      builder.add(name, object);
    }
  }
  return Array.from(instances, ([instance, epochs]) => ({
    instance,
    epochs: [...epochs.values()].map((builder) => builder.build()).sort((a, b) => a.epoch - b.epoch),
  }));
}

/**
 * The epoch to restore: the newest with a log. One that was opened by a restore has none before its first checkpoint is
 * complete, and accepts no write until then: so the one before it still has everything.
 */
export function newestLog(epochs: readonly ShippedEpoch[]): ShippedEpoch | undefined {
  return epochs.findLast(({ parts, checkpoints }) => parts.length + checkpoints.length > 0);
}

class EpochBuilder {
  readonly #epoch: number;
  readonly #parts: ShippedPart[] = [];
  readonly #checkpoints: ShippedCheckpoint[] = [];
  #hasMarker = false;
  #lastMs = 0;
  #bytes = 0;

  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  /** Other objects are left alone. */
  add(name: string, { name: fullName, bytes, modifiedMs }: BucketObject): void {
    const part = PART_NAME.exec(name);
    const checkpoint = CHECKPOINT_NAME.exec(name);
    if (part !== null) this.#parts.push({ name: fullName, segment: Number(part[1]), offset: Number(part[2]), bytes });
    else if (checkpoint !== null) this.#checkpoints.push({ name: fullName, number: Number(checkpoint[1]), bytes });
    else if (name === MARKER_NAME) this.#hasMarker = true;
    else return;
    this.#bytes += bytes;
    this.#lastMs = Math.max(this.#lastMs, modifiedMs);
  }

  build(): ShippedEpoch {
    return {
      epoch: this.#epoch,
      hasMarker: this.#hasMarker,
      parts: this.#parts.sort((a, b) => a.segment - b.segment || a.offset - b.offset),
      checkpoints: this.#checkpoints.sort((a, b) => a.number - b.number),
      lastMs: this.#lastMs,
      bytes: this.#bytes,
    };
  }
}
