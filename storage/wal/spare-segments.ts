/**
 * Segments made ahead: files of zeros, synced, that only need a name to be written. Two of them, so that the log goes on
 * while the disk is full of other things, and so that one is ready when segments follow each other quickly. They are
 * filled step by step between commits. Below a floor of free space none is made: what is left of the disk then belongs to
 * the blocks and checkpoints that give space back.
 */
import type { File, FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { SPARE_NAMES } from './segment.ts';

/** What is written and synced at once: a step keeps the next commit waiting. */
const STEP_BYTES = 1024 * 1024;

interface Slot {
  readonly path: string;
  /** Open while it is being filled. */
  file: File | undefined;
  bytes: number;
  isReady: boolean;
}

export interface SpareOptions {
  readonly fileSystem: FileSystem;
  /** Of the log. */
  readonly directory: string;
  readonly segmentBytes: number;
  /** What stays free on the disk. */
  readonly floorBytes: () => number;
}

export class SpareSegments {
  readonly #options: SpareOptions;
  readonly #slots: readonly Slot[];
  /** One for all steps: left to the garbage collector, they would be some 60 MB before it looks at them. */
  readonly #zeros = new Uint8Array(STEP_BYTES);
  #shortage: string | undefined;

  constructor(options: SpareOptions) {
    this.#options = options;
    this.#slots = SPARE_NAMES.map((name) => ({
      path: `${options.directory}/${name}`,
      file: undefined,
      bytes: 0,
      isReady: false,
    }));
  }

  /** How many can be taken. */
  get ready(): number {
    return this.#slots.filter(({ isReady }) => isReady).length;
  }

  /** Why no spare could be made the last time that one was needed: there was not enough space. */
  get shortage(): string | undefined {
    return this.#shortage;
  }

  /** Gives a spare the name `path`; false if none is ready. The directory is not synced. */
  take(path: string): boolean {
    const slot = this.#slots.find(({ isReady }) => isReady);
    if (slot === undefined) return false;
    slot.isReady = false;
    this.#options.fileSystem.rename(slot.path, path);
    return true;
  }

  /** Goes on with the next spare by about `bytes`; true if there is more to do, and the disk takes it. */
  grow(bytes: number): boolean {
    const slot = this.#slots.find((one) => !one.isReady);
    if (slot === undefined) return false;
    try {
      this.#shortage = this.#lackOfSpace(slot);
      if (this.#shortage !== undefined) return false;
      for (let left = bytes; left > 0 && !slot.isReady; left -= STEP_BYTES) this.#fill(slot);
      return this.ready < this.#slots.length;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (error.code === 'ENOSPC') this.#shortage = error.message;
      this.#drop(slot);
      return false;
    }
  }

  /** Leaves the files to the next start, which removes them. */
  close(): void {
    for (const slot of this.#slots) slot.file?.close();
  }

  #lackOfSpace(slot: Slot): string | undefined {
    const { fileSystem, directory, segmentBytes } = this.#options;
    const floorBytes = this.#options.floorBytes();
    if (floorBytes === 0) return undefined;
    const { freeBytes } = fileSystem.volume(directory);
    if (freeBytes >= floorBytes + segmentBytes - slot.bytes) return undefined;
    return `${freeBytes} bytes are free, and ${floorBytes} are kept for blocks and checkpoints`;
  }

  #fill(slot: Slot): void {
    const { fileSystem, segmentBytes } = this.#options;
    if (slot.file === undefined) {
      // Not into a file that failed before and could not be removed then.
      fileSystem.remove(slot.path);
      slot.file = fileSystem.open(slot.path, 'create');
    }
    const step = Math.min(STEP_BYTES, segmentBytes - slot.bytes);
    slot.file.write(this.#zeros.subarray(0, step), slot.bytes);
    slot.file.sync();
    slot.bytes += step;
    if (slot.bytes < segmentBytes) return;
    slot.file.close();
    slot.file = undefined;
    slot.bytes = 0;
    slot.isReady = true;
  }

  /** Gives up a spare that could not be finished. */
  #drop(slot: Slot): void {
    const { file } = slot;
    slot.file = undefined;
    slot.bytes = 0;
    try {
      file?.close();
      this.#options.fileSystem.remove(slot.path);
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }
}
