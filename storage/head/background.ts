/**
 * The background thread of the head: an activity (storage/io/executor.ts) that cuts blocks and writes checkpoints, one
 * job after the other, and changes nothing in the head. Its answer to a job comes when the result is durable.
 */
import type { BlockMeta } from '../block/meta.ts';
import type { Port } from '../io/executor.ts';
import { nodeFileSystem } from '../io/node-file-system.ts';
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

export type BackgroundJob =
  | { readonly id: number; readonly kind: 'cut'; readonly order: CutOrder }
  | {
      readonly id: number;
      readonly kind: 'checkpoint';
      readonly tenants: readonly CheckpointTenant[];
      readonly position: LogPosition;
      /** The checkpoint stands for all segments up to this one. */
      readonly lastSegment: number;
    };

export type BackgroundAnswer =
  /** The block lies complete in `directory`; no meta if the generation was empty. */
  | { readonly id: number; readonly kind: 'cut'; readonly directory: string; readonly meta: BlockMeta | undefined }
  | { readonly id: number; readonly kind: 'checkpoint'; readonly bytes: number }
  | { readonly id: number; readonly kind: 'failed'; readonly message: string };

export function run(port: Port, init: BackgroundInit): void {
  const view = new HeadView(init.memory, init.reader);
  const codec = ChunkCodec.load();
  port.onMessage((message) => {
    const job = message as BackgroundJob;
    let answer: BackgroundAnswer;
    try {
      answer = job.kind === 'cut' ? cut(init, view, codec, job) : checkpoint(init, view, job);
    } catch (error) {
      answer = { id: job.id, kind: 'failed', message: error instanceof Error ? error.message : String(error) };
    }
    port.post(answer);
  });
}

function cut(
  init: BackgroundInit,
  view: HeadView,
  codec: ChunkCodec,
  { id, order }: BackgroundJob & { kind: 'cut' },
): BackgroundAnswer {
  const directory = `${init.blocksDirectory}/${order.ulid}.tmp`;
  try {
    return { id, kind: 'cut', directory, meta: cutBlock(nodeFileSystem, directory, view, codec, order) };
  } catch (error) {
    // The next try gets the same generation and another name; a disk that is full needs the room.
    nodeFileSystem.remove(directory);
    throw error;
  }
}

function checkpoint(
  init: BackgroundInit,
  view: HeadView,
  job: BackgroundJob & { kind: 'checkpoint' },
): BackgroundAnswer {
  const writer = new CheckpointWriter(nodeFileSystem, init.dataDirectory, job.position);
  try {
    writeHeadCheckpoint(view, job.tenants, (record) => writer.append(record));
    writer.finish(job.lastSegment);
    return { id: job.id, kind: 'checkpoint', bytes: writer.bytes };
  } catch (error) {
    writer.abort();
    throw error;
  }
}
