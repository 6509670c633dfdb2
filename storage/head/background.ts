/**
 * The background thread of the head: an activity (storage/io/executor.ts) that cuts blocks and writes checkpoints, one
 * job after the other, and changes nothing in the head. Its answer to a job comes when the result is durable. The other
 * end is background-thread.ts.
 */
import { DirectoryBlockFiles } from '../block/block-files.ts';
import { IndexHeaders } from '../block/index-headers.ts';
import type { BlockMeta } from '../block/meta.ts';
import { collectGarbage } from '../io/collect-garbage.ts';
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
  /** Where the headers of their indexes go, if the blocks will leave this disk; they are read here at least cost. */
  readonly headersDirectory?: string;
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
  const work = async (job: BackgroundJob): Promise<CutResult | CheckpointResult> => {
    if (job.kind === 'checkpoint') return checkpoint(fileSystem, init.dataDirectory, view, job.order);
    const directory = `${init.blocksDirectory}/${job.order.ulid}.tmp`;
    const result = cut(fileSystem, directory, view, codec, job.order);
    if (init.headersDirectory !== undefined && result.meta !== undefined)
      await keepHeader(fileSystem, init.headersDirectory, result.meta.ulid, directory);
    return result;
  };
  let before = Promise.resolve();
  port.onMessage((message) => {
    const job = message as BackgroundJob;
    before = before.then(async () => {
      let answer: BackgroundAnswer;
      try {
        answer = { id: job.id, result: await work(job) };
      } catch (error) {
        answer = { id: job.id, failure: error instanceof Error ? error.message : String(error) };
      }
      port.post(answer);
      collectGarbage(); // Some 100 MB, and the next cut is hours away.
    });
  });
}

async function keepHeader(fileSystem: FileSystem, headers: string, ulid: string, directory: string): Promise<void> {
  const files = new DirectoryBlockFiles(fileSystem, directory);
  try {
    await new IndexHeaders(fileSystem, headers).make(ulid, files);
  } finally {
    files.close();
  }
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
