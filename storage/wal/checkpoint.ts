/**
 * A checkpoint: one file that stands for all segments up to its number. It holds frames like a segment, numbered from 1
 * on their own, and ends with a frame that makes it complete:
 *
 *   header │ frame 1 │ frame 2 │ … │ end frame n + 1: type u8 = 0 | last segment u32 | covered sequence u64
 *
 * It is written under another name, synced, renamed and its directory synced before anything that it replaces goes.
 * Spec: docs/formats/wal.md.
 */
import type { File, FileSystem } from '../io/file-system.ts';
import { isSystemError } from '../io/system-error.ts';
import { FRAME_HEADER_BYTES } from '../kernel/layout.ts';
import { encodeFrame, type Frame, frameAt } from './frame.ts';
import {
  CHECKPOINT_TMP_NAME,
  checkpointName,
  encodeFileHeader,
  FILE_HEADER_BYTES,
  listWalFiles,
  readFileHeader,
  walDirectory,
} from './segment.ts';

/** The first byte of an end frame's payload; no record of the log begins with it. */
const END_TYPE = 0;
const END_PAYLOAD_BYTES = 1 + 4 + 8; // type, last segment, covered sequence
const END_FRAME_BYTES: number = FRAME_HEADER_BYTES + END_PAYLOAD_BYTES;
const WRITE_BYTES = 1024 * 1024;
const TWO_32 = 0x1_0000_0000;

/** What the end frame of a checkpoint says. */
export interface CheckpointEnd {
  readonly lastSegment: number;
  /** Every frame up to this sequence is replaced; the first of the segments that stay is the next one. */
  readonly coveredSequence: number;
  /** How many frames come before the end frame. */
  readonly frames: number;
}

/** Where the log stands when a checkpoint is begun. */
export interface LogPosition {
  readonly generation: number;
  /** Of the last frame written so far, durable or not. */
  readonly sequence: number;
}

/**
 * Writes one checkpoint: `append` every record, then `finish`; or `abort`. After an error only `abort` may be called.
 * The caller sees to it that the records say all that the replaced segments do.
 */
export class CheckpointWriter {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #position: LogPosition;
  readonly #file: File;
  readonly #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(WRITE_BYTES);
  #buffered: number = FILE_HEADER_BYTES;
  #written = 0;
  #frames = 0;
  #isOpen = true;

  constructor(fileSystem: FileSystem, dataDirectory: string, position: LogPosition) {
    this.#fileSystem = fileSystem;
    this.#directory = walDirectory(dataDirectory);
    this.#position = position;
    fileSystem.makeDirectory(this.#directory);
    const path = `${this.#directory}/${CHECKPOINT_TMP_NAME}`;
    // One that could not be synced may have been left there: that file is not to be written again, empty or not.
    fileSystem.remove(path);
    this.#file = fileSystem.open(path, 'create');
    encodeFileHeader(this.#buffer, 'checkpoint', { number: 0, ...position });
  }

  /** Bytes of the file so far. */
  get bytes(): number {
    return this.#written + this.#buffered;
  }

  /** Adds a record as the log has them; its first byte, the type, is not 0. The bytes may be reused at once. */
  append(payload: Uint8Array): void {
    if (payload[0] === END_TYPE) throw new RangeError('record type 0 is kept for the end of a checkpoint');
    this.#append(payload);
  }

  /**
   * Puts the checkpoint in the place of all segments up to `lastSegment` and of older checkpoints, and removes those.
   * When it returns, the checkpoint is durable; it throws the file system's error if it could not be made so, and then
   * nothing was removed.
   */
  finish(lastSegment: number): void {
    // The segment word is 0 before the first commit of a process, so that "the one before" would be −1.
    if (lastSegment < 0) throw new RangeError(`there is no segment ${lastSegment}`);
    this.#append(this.#endPayload(lastSegment));
    this.#flush();
    this.#file.sync();
    this.#close();
    this.#fileSystem.rename(this.#file.path, `${this.#directory}/${checkpointName(lastSegment)}`);
    this.#fileSystem.syncDirectory(this.#directory);
    this.#removeReplaced(lastSegment);
  }

  /** Gives up; nothing was replaced. */
  abort(): void {
    this.#close();
    this.#fileSystem.remove(this.#file.path);
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#file.close();
  }

  #append(payload: Uint8Array): void {
    const frame = encodeFrame({ generation: this.#position.generation, sequence: ++this.#frames, payload });
    if (this.#buffered + frame.length > this.#buffer.length) this.#flush();
    if (frame.length > this.#buffer.length) {
      this.#file.write(frame, this.#written);
      this.#written += frame.length;
    } else {
      this.#buffer.set(frame, this.#buffered);
      this.#buffered += frame.length;
    }
  }

  #flush(): void {
    this.#file.write(this.#buffer.subarray(0, this.#buffered), this.#written);
    this.#written += this.#buffered;
    this.#buffered = 0;
  }

  #endPayload(lastSegment: number): Uint8Array {
    const covered = this.#firstSequenceAfter(lastSegment) - 1;
    const payload = new Uint8Array(END_PAYLOAD_BYTES);
    const view = new DataView(payload.buffer);
    view.setUint8(0, END_TYPE);
    view.setUint32(1, lastSegment, true);
    view.setUint32(5, covered >>> 0, true);
    view.setUint32(9, Math.floor(covered / TWO_32), true);
    return payload;
  }

  /** As the next segment says; if there is none yet, the log goes on after the position that we were given. */
  #firstSequenceAfter(lastSegment: number): number {
    for (const { kind, number, name } of listWalFiles(this.#fileSystem, this.#directory)) {
      if (kind !== 'segment' || number <= lastSegment) continue;
      const file = this.#fileSystem.open(`${this.#directory}/${name}`, 'read');
      const header = readFileHeader(file, 'segment');
      file.close();
      if (header !== undefined) return header.sequence;
    }
    return this.#position.sequence + 1;
  }

  /** What cannot be removed now is tried again by the next checkpoint and the next start. */
  #removeReplaced(lastSegment: number): void {
    for (const { kind, number, name } of listWalFiles(this.#fileSystem, this.#directory)) {
      const isReplaced = kind === 'segment' ? number <= lastSegment : number < lastSegment;
      try {
        if (isReplaced) this.#fileSystem.remove(`${this.#directory}/${name}`);
      } catch (error) {
        if (!isSystemError(error)) throw error;
        return;
      }
    }
  }
}

/** The end of a checkpoint file, or undefined if the file is not complete. */
export function readCheckpointEnd(file: Pick<File, 'read' | 'size'>): CheckpointEnd | undefined {
  const size = file.size();
  if (size < FILE_HEADER_BYTES + END_FRAME_BYTES) return undefined;
  const bytes = new Uint8Array(END_FRAME_BYTES);
  file.read(bytes, size - END_FRAME_BYTES);
  const frame = frameAt(bytes, 0);
  if (frame === undefined || 'needed' in frame || !isEndFrame(frame)) return undefined;
  const view = new DataView(frame.payload.buffer, frame.payload.byteOffset, END_PAYLOAD_BYTES);
  return {
    lastSegment: view.getUint32(1, true),
    coveredSequence: view.getUint32(5, true) + view.getUint32(9, true) * TWO_32,
    frames: frame.sequence - 1,
  };
}

export function isEndFrame(frame: Frame): boolean {
  return frame.payload.length === END_PAYLOAD_BYTES && frame.payload[0] === END_TYPE;
}
