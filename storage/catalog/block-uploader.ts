/**
 * Which blocks go to the bucket, and when: the oldest first, a few at once. A block that cannot be uploaded waits by
 * itself, later and later, and holds up no other. When several in a row failed, it is the bucket: then one block at a time
 * is tried, until one is through. All waits are jittered, and none is longer than a minute, so that what has gathered goes
 * soon after the bucket is back.
 *
 *   local ─► uploading ─► uploaded        A kill leaves `uploading`: the same again, without what was sent already
 */
import type { BlockMeta } from '../block/meta.ts';
import type { BucketThread } from '../bucket/bucket-thread.ts';
import type { Clock } from '../io/clock.ts';
import type { Random } from '../io/random.ts';
import { Backoff } from '../lib/backoff.ts';
import { StorageError } from '../lib/errors.ts';
import type { BlockEvent } from './block-event.ts';
import type { BucketHealth } from './bucket-health.ts';
import type { Catalog } from './catalog.ts';

const UPLOADS_AT_ONCE = 4;
/** So many failures in a row are the bucket's. */
const FAILURES_OF_BUCKET = 3;
const LONGEST_DELAY_MS = 60_000;
/** What is looked at for blocks that may be tried now. */
const LOOKED_AT = 64;

export interface UploaderParts {
  readonly catalog: Catalog;
  readonly thread: Pick<BucketThread, 'run'>;
  readonly health: BucketHealth;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent: (event: BlockEvent) => void;
  /** A block is in the bucket now. */
  readonly onUploaded: () => void;
}

interface Candidate {
  readonly ulid: string;
  readonly local: string;
  readonly meta: string;
  readonly sent: string;
}

export class BlockUploader {
  readonly #parts: UploaderParts;
  readonly #running = new Map<string, Promise<void>>();
  /** By block: those whose last upload failed. */
  readonly #backoffs = new Map<string, Backoff>();
  readonly #bucketBackoff: Backoff;
  #failuresInARow = 0;
  #isClosed = false;
  /** Since 1970; 0: none since the start. */
  lastSuccessMs = 0;

  constructor(parts: UploaderParts) {
    this.#parts = parts;
    this.#bucketBackoff = this.#newBackoff();
  }

  /** Begins what may be begun now. */
  look(): void {
    if (this.#isClosed || !this.#bucketBackoff.isOver(this.#parts.clock.monotonicMs())) return;
    const most = this.#failuresInARow >= FAILURES_OF_BUCKET ? 1 : UPLOADS_AT_ONCE;
    if (this.#running.size >= most) return;
    for (const candidate of this.#candidates()) {
      if (this.#running.size >= most) return;
      const upload = this.#upload(candidate).finally(() => {
        this.#running.delete(candidate.ulid);
        this.look();
      });
      this.#running.set(candidate.ulid, upload);
    }
  }

  /** Begins nothing more. */
  stop(): void {
    this.#isClosed = true;
  }

  /** Resolves when what was begun has come to its end. */
  async whenIdle(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Blocks that are not in the bucket, oldest first, without those that are at work or have to wait. */
  #candidates(): Candidate[] {
    const { catalog, clock } = this.#parts;
    const now = clock.monotonicMs();
    const rows = catalog
      .sql(
        `SELECT ulid, local, meta, sent FROM blocks
         WHERE state IN ('local', 'uploading') AND local IS NOT NULL ORDER BY ulid LIMIT ?`,
      )
      .all(this.#running.size + this.#backoffs.size + LOOKED_AT) as Candidate[];
    return rows.filter(({ ulid }) => !this.#running.has(ulid) && this.#backoffs.get(ulid)?.isOver(now) !== false);
  }

  async #upload({ ulid, local, meta, sent }: Candidate): Promise<void> {
    const { catalog, thread, clock, onEvent } = this.#parts;
    const startedMs = clock.monotonicMs();
    const nowMs = clock.nowMs();
    try {
      catalog.noteUploading(ulid);
      const order = {
        meta: JSON.parse(meta) as BlockMeta,
        localDirectory: `${local}/${ulid}`,
        sent: JSON.parse(sent) as string[],
        uploadTime: new Date(nowMs).toISOString(),
      };
      const result = await thread.run('upload', order, (name) => catalog.noteSent(ulid, name));
      catalog.noteUploaded(ulid, clock.nowMs());
      this.#succeed(ulid);
      onEvent({ kind: 'block-uploaded', ulid, ...result, durationMs: clock.monotonicMs() - startedMs });
      this.#parts.onUploaded();
    } catch (error) {
      if (!this.#isClosed) this.#fail(ulid, error);
    }
  }

  #succeed(ulid: string): void {
    this.#backoffs.delete(ulid);
    this.#bucketBackoff.succeed();
    // The others waited for the bucket.
    if (this.#failuresInARow >= FAILURES_OF_BUCKET) this.#backoffs.clear();
    this.#failuresInARow = 0;
    this.lastSuccessMs = this.#parts.clock.nowMs();
    this.#parts.health.noteSuccess();
  }

  #fail(ulid: string, error: unknown): void {
    const { clock, health, onEvent } = this.#parts;
    const message = error instanceof Error ? error.message : String(error);
    const backoff = this.#backoffs.get(ulid) ?? this.#newBackoff();
    backoff.fail(clock.monotonicMs());
    this.#backoffs.set(ulid, backoff);
    // A file of this disk that is not as it was written is not the bucket's.
    if (error instanceof StorageError && error.kind !== 'corrupt') this.#failuresInARow++;
    if (this.#failuresInARow >= FAILURES_OF_BUCKET) {
      this.#bucketBackoff.fail(clock.monotonicMs());
      health.noteFailure(message);
    } else onEvent({ kind: 'upload-retry', ulid, message });
  }

  #newBackoff(): Backoff {
    const bytes = new Uint8Array(1);
    return new Backoff({
      longestMs: LONGEST_DELAY_MS,
      chance: () => {
        this.#parts.random.fill(bytes);
        return (bytes[0] as number) / 256;
      },
    });
  }
}
