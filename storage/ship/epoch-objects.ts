/** What this process's epoch has in the bucket: known from one listing at the start and from what was put since. */
import type { Bucket } from '../bucket/bucket.ts';
import {
  epochPrefix,
  listEpoch,
  MARKER_NAME,
  type RestoredLog,
  type ShippedCheckpoint,
  type ShippedPart,
} from './shipped-log.ts';

export class EpochObjects {
  readonly #parts = new Map<string, ShippedPart>();
  readonly #checkpoints = new Map<string, ShippedCheckpoint>();

  constructor(parts: readonly ShippedPart[], checkpoints: readonly ShippedCheckpoint[]) {
    for (const part of parts) this.#parts.set(part.name, part);
    for (const checkpoint of checkpoints) this.#checkpoints.set(checkpoint.name, checkpoint);
  }

  /** The newest checkpoint; -1 if there is none. */
  get checkpoint(): number {
    return Math.max(-1, ...Array.from(this.#checkpoints.values(), ({ number }) => number));
  }

  addPart(part: ShippedPart): void {
    this.#parts.set(part.name, part);
  }

  addCheckpoint(checkpoint: ShippedCheckpoint): void {
    this.#checkpoints.set(checkpoint.name, checkpoint);
  }

  forget(name: string): void {
    this.#parts.delete(name);
    this.#checkpoints.delete(name);
  }

  /** What a checkpoint of this number makes needless: older checkpoints and the parts that it stands for, oldest first. */
  replacedBy(number: number): readonly { readonly name: string; readonly bytes: number }[] {
    return [
      ...[...this.#checkpoints.values()].filter((checkpoint) => checkpoint.number < number),
      ...[...this.#parts.values()]
        .filter(({ segment }) => segment <= number)
        .sort((a, b) => a.segment - b.segment || a.offset - b.offset),
    ];
  }
}

/**
 * Deletes an epoch that is not needed any more, but for what came after it was taken over; then its marker stays too.
 * Resolves with how many objects stay.
 */
export async function deleteEpoch(
  bucket: Bucket,
  instance: string,
  epoch: number,
  taken: RestoredLog | undefined,
): Promise<number> {
  const { parts, checkpoints } = await listEpoch(bucket, instance, epoch);
  const until = taken?.epoch === epoch ? taken : undefined;
  const isTaken = (segment: number, offset: number): boolean =>
    until === undefined || segment < until.segment || (segment === until.segment && offset < until.offset);
  const needless = [
    ...checkpoints.filter(({ number }) => isTaken(number, 0)),
    ...parts.filter(({ segment, offset }) => isTaken(segment, offset)),
  ];
  for (const { name } of needless) await bucket.delete(name);
  const left = parts.length + checkpoints.length - needless.length;
  if (left === 0) await bucket.delete(`${epochPrefix(instance, epoch)}${MARKER_NAME}`);
  return left;
}
