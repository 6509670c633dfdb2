/**
 * The background thread of the head: an activity (storage/io/executor.ts) that cuts blocks and writes checkpoints, one
 * job after the other, and changes nothing in the head. Its answer to a job comes when the result is durable. The other
 * end is background-thread.ts.
 */
import type { BlockMeta } from '../block/meta.ts';
import type { Port } from '../io/executor.ts';
import type { FileSystem } from '../io/file-system.ts';
import type { World } from '../io/world.ts';
import { ChunkCodec } from '../kernel/chunk-codec.ts';
import { CheckpointWriter, type LogPosition } from '../wal/checkpoint.ts';
import { type CutOrder, cutBlock } from './cut-block.ts';
import { type CheckpointTenant, writeHeadCheckpoint } from './head-checkpoint.ts';
import { HeadView } from './head-view.ts';

/** Survives a structured clone; the memory is shared. */
export interface BackgroundInit {
  readonly memory: WebAssembly.Memory;
  /** This thread's number among the readers of the memory. */
  readonly reader: number;
  readonly dataDirectory: string;
  /** Where blocks are built before they go to the bucket. */
  readonly blocksDirectory: string;
}

export interface CheckpointOrder {
  readonly tenants: readonly CheckpointTenant[];
  readonly position: LogPosition;
  /** The checkpoint stands for all segments up to this one. */
  readonly lastSegment: number;
  /** Records besides those of the head. */
  readonly extraRecords: readonly Uint8Array[];
}

/** A block that lies complete in `directory`; no meta if there was nothing to cut. */
export interface CutResult {
  readonly directory: string;
  readonly meta: BlockMeta | undefined;
}

export type BackgroundJob =
  | { readonly id: number; readonly kind: 'cut'; readonly order: CutOrder }
  | { readonly id: number; readonly kind: 'checkpoint'; readonly order: CheckpointOrder };

export type BackgroundAnswer =
  | { readonly id: number; readonly result: CutResult | CheckpointResult }
  | { readonly id: number; readonly failure: string };

export interface CheckpointResult {
  readonly bytes: number;
}

export function run(port: Port, init: BackgroundInit, { fileSystem }: World): void {
  const view = new HeadView(init.memory, init.reader);
  const codec = ChunkCodec.load();
  port.onMessage((message) => {
    const job = message as BackgroundJob;
    let answer: BackgroundAnswer;
    try {
      const result =
        job.kind === 'cut'
          ? cut(fileSystem, `${init.blocksDirectory}/${job.order.ulid}.tmp`, view, codec, job.order)
          : checkpoint(fileSystem, init.dataDirectory, view, job.order);
      answer = { id: job.id, result };
    } catch (error) {
      answer = { id: job.id, failure: error instanceof Error ? error.message : String(error) };
    }
    port.post(answer);
  });
}

function cut(fileSystem: FileSystem, directory: string, view: HeadView, codec: ChunkCodec, order: CutOrder): CutResult {
  try {
    return { directory, meta: cutBlock(fileSystem, directory, view, codec, order) };
  } catch (error) {
    // The next try gets the same generation and another name; a disk that is full needs the room.
    fileSystem.remove(directory);
    throw error;
  }
}

function checkpoint(
  fileSystem: FileSystem,
  dataDirectory: string,
  view: HeadView,
  { tenants, position, lastSegment, extraRecords }: CheckpointOrder,
): CheckpointResult {
  const writer = new CheckpointWriter(fileSystem, dataDirectory, position);
  try {
    writeHeadCheckpoint(view, tenants, (record) => writer.append(record));
    for (const record of extraRecords) writer.append(record);
    writer.finish(lastSegment);
    return { bytes: writer.bytes };
  } catch (error) {
    writer.abort();
    throw error;
  }
}
