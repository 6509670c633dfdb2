/** How the log of an engine goes to the bucket from its start on, and how one that comes from there becomes its own. */
import type { Blocks } from '../catalog/blocks.ts';
import type { HeadCheckpointer } from '../compact/head-checkpointer.ts';
import { finishRestore, type Identity } from '../data-directory.ts';
import type { Acceptance, HeadWriter } from '../head/head-writer.ts';
import type { OwnBlock } from '../head/replay.ts';
import type { FileSystem } from '../io/file-system.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { StorageError } from '../lib/errors.ts';
import type { UlidGenerator } from '../lib/ulid.ts';
import { MARKER_FORMAT } from '../ship/shipped-log.ts';
import { type ShipSettings, WalShipping } from '../ship/wal-shipping.ts';
import { listWalFiles, walDirectory } from '../wal/segment.ts';
import type { Wal } from '../wal/wal.ts';
import type { DatabaseOptions } from './database-options.ts';

const NO_SHIPMENTS: ShipSettings = { intervalMs: 0, ack: 'local' };

/** What this log is covered by: blocks of its own epoch, and after a restore those of the epoch that it comes from. */
export async function coveringBlocks(
  { epoch, restored }: Identity,
  { bucket, directory }: DatabaseOptions,
  blocks: Blocks,
): Promise<OwnBlock[]> {
  if (restored === undefined) {
    await blocks.prepare();
    return blocks.ownBlocks(epoch);
  }
  if (bucket === undefined) {
    const what = `${directory} was restored from a bucket, and needs it once more`;
    throw new StorageError('invalid', `${what}: start with the same --objstore.config-file`);
  }
  // A block of which nobody knows would be there a second time, in the head: here the bucket has to answer.
  await blocks.refresh();
  return [...blocks.ownBlocks(restored.epoch), ...blocks.ownBlocks(epoch)];
}

interface ShippingParts {
  readonly identity: Identity;
  readonly kernel: Kernel;
  readonly wal: Wal;
  readonly writer: HeadWriter;
  readonly blocks: Blocks;
  readonly ulids: UlidGenerator;
  readonly firstSegment: number;
  readonly onBroken: (message: string) => void;
}

/** With a bucket there is always a ship thread: it looks for a higher epoch, also if nothing is shipped. */
export function startShipping(
  options: DatabaseOptions,
  { identity, kernel, wal, writer, blocks, ulids, firstSegment, onBroken }: ShippingParts,
): WalShipping | undefined {
  const { bucket: location, ship: settings = NO_SHIPMENTS, host = '' } = options;
  const { directory, fileSystem, clock, executor, onEvent } = options;
  if (location === undefined) return undefined;
  const { instance, epoch } = identity;
  const now = clock.nowMs();
  const shipping = new WalShipping({
    location,
    settings,
    memory: kernel.memory.memory.buffer,
    dataDirectory: directory,
    firstSegment,
    marker: {
      format: MARKER_FORMAT,
      instance,
      epoch,
      ulid: ulids.next(now),
      host,
      opened: new Date(now).toISOString(),
    },
    executor,
    clock,
    position: () => wal.position,
    tenants: () => writer.tenants,
    blocksNotUploaded: () => blocks.notUploaded(),
    onFailing: (message) => onEvent({ kind: 'ship-failing', message }),
    onRecovered: () => onEvent({ kind: 'ship-recovered' }),
    onFenced: (message) => {
      blocks.leaveBucketAlone();
      onEvent({ kind: 'fenced', message });
    },
    onBroken,
  });
  const checkpoint = newestCheckpoint(fileSystem, directory);
  if (checkpoint !== undefined) shipping.noteCheckpoint(checkpoint);
  return shipping;
}

export function acceptanceOf(
  wal: Wal,
  shipping: () => WalShipping | undefined,
  { ack }: ShipSettings = NO_SHIPMENTS,
): Acceptance {
  return {
    refusal: () => shipping()?.refusal,
    async whenAccepted(position) {
      if (ack === 'local') return await wal.whenAccepted(position);
      await wal.whenDurable(position);
      await shipping()?.whenShipped(position);
    },
  };
}

/** Puts a checkpoint in the place of the log that a restore brought. Throws StorageError if the disk does not take it. */
export async function writeFirstCheckpoint(checkpointer: HeadCheckpointer, writer: HeadWriter): Promise<void> {
  await checkpointer.write(writer.tenants, () => []);
  if (checkpointer.count === 0)
    throw new StorageError('unavailable', 'the checkpoint of the restored log cannot be written');
}

/**
 * Makes a restored log this epoch's own: its checkpoint goes to the bucket, if the log is shipped. Until then the older
 * epoch has everything, and no write is accepted. Throws StorageError if somebody else has been restored since.
 */
export async function makeOwn(
  { fileSystem, directory, ship = NO_SHIPMENTS }: DatabaseOptions,
  identity: Identity,
  checkpointer: HeadCheckpointer,
  shipping: WalShipping | undefined,
): Promise<void> {
  if (ship.intervalMs > 0) await shipping?.whenCheckpointShipped(checkpointer.oldestSegment - 1);
  finishRestore(fileSystem, directory, identity);
}

function newestCheckpoint(fileSystem: FileSystem, directory: string): number | undefined {
  return listWalFiles(fileSystem, walDirectory(directory)).findLast(({ kind }) => kind === 'checkpoint')?.number;
}
