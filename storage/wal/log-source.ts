/** A file of the log while recovery reads it: it stands at a frame, and knows what it came past. */
import type { FileSystem } from '../io/file-system.ts';
import { type BadBytes, FrameReader, type PlacedFrame } from './frame-reader.ts';
import type { LogFile } from './log-files.ts';
import { PAGE_BYTES, SalvagedFile } from './salvaged-file.ts';

/** From where to where the frames of a segment reach, by sequence, and where their bytes end. */
export interface SegmentEnd {
  readonly path: string;
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

export class LogSource {
  readonly file: LogFile;
  /** The frame it stands at; undefined at the end. */
  frame: PlacedFrame | undefined;
  /** The highest seen. */
  generation: number;
  /** Of the frames so far; undefined if there was none. */
  end: SegmentEnd | undefined;
  readonly #opened: SalvagedFile;
  readonly #reader: FrameReader;

  /** Opens the file and stands at its first frame; none is taken whose sequence is below `firstSequence`. */
  constructor(fileSystem: FileSystem, file: LogFile, firstSequence: number) {
    this.file = file;
    this.generation = file.header?.generation ?? 0;
    this.#opened = new SalvagedFile(fileSystem, file.path);
    this.#reader = new FrameReader(this.#opened, file.header, firstSequence);
    this.advance();
  }

  /** Of the frame it stands at; at the end lower than any, so that a merge turns to it at once. */
  get sequence(): number {
    return this.frame?.sequence ?? -1;
  }

  get position(): number {
    return this.#reader.position;
  }

  /** What holds no frame, and the pages that could not be read. */
  get badBytes(): readonly BadBytes[] {
    const pages = [...this.#opened.unreadable].map((offset) => {
      const length = Math.min(PAGE_BYTES, this.file.bytes - offset);
      return { offset, length, afterSequence: undefined, isTail: false };
    });
    return [...this.#reader.badBytes, ...pages];
  }

  /** Goes on to the next frame; the payload of the one before is not valid any more. */
  advance(): void {
    this.frame = this.#reader.next();
    if (this.frame === undefined) return;
    const { generation, sequence } = this.frame;
    this.generation = Math.max(this.generation, generation);
    const first = Math.min(this.end?.first ?? sequence, sequence);
    const last = Math.max(this.end?.last ?? sequence, sequence);
    this.end = { path: this.file.path, first, last, bytes: this.#reader.position };
  }

  close(): void {
    this.#opened.close();
  }
}
