/**
 * Reads the frames of one file of the log, in pieces, past any damage.
 *
 *   header │ frame │ frame │ ▒▒ damage ▒▒ │ frame │ ▒ tail ▒ │ 0 0 0 …
 *
 * Where no frame stands, its length field is believed first: if the frame with the next but one sequence stands behind
 * it, only the payload was hit, and nothing inside that payload is ever taken for a frame. Else the next magic that
 * begins a whole frame of this file's generation ends the damage. Zeros up to the end are space that was written ahead.
 */

import { FRAME_HEADER_BYTES } from '../kernel/layout.ts';
import { type Frame, findMagic, frameAt, frameBytes, frameBytesAt } from './frame.ts';
import type { SalvagedFile } from './salvaged-file.ts';
import { FILE_HEADER_BYTES, type FileHeader } from './segment.ts';

/** Memory for one file; a longer frame gets a buffer of its own length. */
const READ_BYTES = 1024 * 1024;
const MAGIC_BYTES = 4;

export interface PlacedFrame extends Frame {
  /** Of the frame's first byte in its file. */
  readonly offset: number;
}

/** A stretch of a file that holds no frame although something was written there. */
export interface BadBytes {
  readonly offset: number;
  readonly length: number;
  /** Of the last frame before it, or one less than the file's first; undefined if neither frame nor header says. */
  readonly afterSequence: number | undefined;
  /** No frame follows in this file: what a write leaves that was cut short. */
  readonly isTail: boolean;
}

export class FrameReader {
  readonly #file: SalvagedFile;
  readonly #size: number;
  readonly #firstSequence: number;
  readonly #badBytes: BadBytes[] = [];
  /** undefined if the file's header is damaged, until the first frame. */
  #generation: number | undefined;
  #lastSequence: number;
  #position: number;
  #buffer: Uint8Array<ArrayBuffer>;
  #bufferOffset = 0;
  #bufferLength = 0;

  /** Without a header the whole file is searched. The file stays the caller's. */
  constructor(file: SalvagedFile, header: FileHeader | undefined, firstSequence: number) {
    this.#file = file;
    this.#size = file.size();
    this.#buffer = new Uint8Array(Math.min(READ_BYTES, this.#size));
    this.#generation = header?.generation;
    this.#firstSequence = firstSequence;
    this.#lastSequence = Math.max(0, firstSequence - 1);
    this.#position = header === undefined ? 0 : FILE_HEADER_BYTES;
  }

  /** How far the file was read. */
  get position(): number {
    return this.#position;
  }

  /** Complete once `next` returned undefined. */
  get badBytes(): readonly BadBytes[] {
    return this.#badBytes;
  }

  /** The next frame, or undefined at the end. Its payload is a view that is valid until the next call. */
  next(): PlacedFrame | undefined {
    const start = this.#position;
    let position = start;
    let frame = this.#frameAt(start);
    if (frame === undefined) {
      position = this.#positionAfterBadFrame(start);
      while (position >= 0) {
        frame = this.#frameAt(position);
        if (frame !== undefined) break;
        position = this.#findMagic(position + 1);
      }
      this.#addBadBytes(start, frame === undefined ? this.#endOfContent(start) : position, frame === undefined);
    }
    if (frame === undefined) {
      this.#position = this.#size;
      return undefined;
    }
    this.#position = position + frameBytes(frame);
    this.#generation ??= frame.generation;
    this.#lastSequence = frame.sequence;
    return { ...frame, offset: position };
  }

  #addBadBytes(offset: number, end: number, isTail: boolean): void {
    if (end <= offset) return;
    const afterSequence = this.#generation === undefined ? undefined : this.#lastSequence;
    this.#badBytes.push({ offset, length: end - offset, afterSequence, isTail });
  }

  /** A whole frame that belongs into this file. */
  #frameAt(position: number): Frame | undefined {
    if (!this.#load(position, FRAME_HEADER_BYTES)) return undefined;
    let frame = frameAt(this.#window(), position - this.#bufferOffset);
    if (frame !== undefined && 'needed' in frame) {
      if (!this.#load(position, frame.needed)) return undefined;
      frame = frameAt(this.#window(), position - this.#bufferOffset);
    }
    if (frame === undefined || 'needed' in frame) return undefined;
    const belongs =
      frame.generation === (this.#generation ?? frame.generation) && frame.sequence >= this.#firstSequence;
    return belongs ? frame : undefined;
  }

  /** Where the frame after the bad one stands, if its length can be believed; else the next magic; -1 if there is none. */
  #positionAfterBadFrame(position: number): number {
    if (this.#load(position, FRAME_HEADER_BYTES)) {
      const next = position + frameBytesAt(this.#window(), position - this.#bufferOffset);
      if (this.#frameAt(next)?.sequence === this.#lastSequence + 2) return next;
    }
    return this.#findMagic(position + 1);
  }

  #findMagic(from: number): number {
    let position = from;
    while (this.#load(position, Math.min(READ_BYTES, this.#size - position)) && this.#size - position >= MAGIC_BYTES) {
      const found = findMagic(this.#window(), position - this.#bufferOffset);
      if (found >= 0) return this.#bufferOffset + found;
      // A magic may lie across the end of the window.
      position = this.#bufferOffset + this.#bufferLength - (MAGIC_BYTES - 1);
    }
    return -1;
  }

  /** Where the zeros that reach to the end of the file begin, not before `from`. */
  #endOfContent(from: number): number {
    let end = this.#size;
    while (end > from) {
      const start = Math.max(from, end - READ_BYTES);
      if (!this.#load(start, end - start)) return end;
      const first = start - this.#bufferOffset;
      const last = this.#buffer.subarray(first, first + end - start).findLastIndex((byte) => byte !== 0);
      if (last >= 0) return start + last + 1;
      end = start;
    }
    return end;
  }

  #window(): Uint8Array {
    return this.#buffer.subarray(0, this.#bufferLength);
  }

  /** Has `needed` bytes from `position` on in the window; false if the file does not have them. */
  #load(position: number, needed: number): boolean {
    if (needed <= 0 || position + needed > this.#size) return false;
    const end = this.#bufferOffset + this.#bufferLength;
    if (position >= this.#bufferOffset && position + needed <= end) return true;
    if (needed > this.#buffer.length) this.#buffer = new Uint8Array(needed);
    this.#bufferOffset = position;
    this.#bufferLength = this.#file.read(this.#buffer, position);
    return this.#bufferLength >= needed;
  }
}
