/** A ring in shared memory as the kernel fills it, and what the log's tests ask about a data directory. */
import type { FileSystem } from '../../../storage/io/file-system.ts';
import { type CommitOutcome, type WalAddresses, WalCommitter } from '../../../storage/wal/committer.ts';
import { encodeFrame, frameBytes } from '../../../storage/wal/frame.ts';
import { type RecoveryReport, recoverWal } from '../../../storage/wal/recovery.ts';

function ringAddresses(ringBytes: number): WalAddresses {
  return {
    head: 64,
    wanted: 64,
    tail: 128,
    state: 132,
    stop: 136,
    syncs: 140,
    segment: 144,
    floor: 148,
    syncWanted: 152,
    synced: 160,
    ring: 256,
    ringBytes,
  };
}

/** The kernel's side of the ring. */
export class Ring {
  readonly addresses: WalAddresses;
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  generation = 1;
  nextSequence = 1;

  /** Positions begin at `position`, so that they pass 2^32 early if it is just below. */
  constructor(ringBytes: number, position = 0) {
    this.addresses = ringAddresses(ringBytes);
    this.memory = new SharedArrayBuffer(this.addresses.ring + ringBytes);
    this.words = new Int32Array(this.memory);
    this.words[this.addresses.head >> 2] = position;
    this.words[this.addresses.tail >> 2] = position;
  }

  word(name: 'head' | 'tail' | 'state' | 'syncs' | 'segment'): number {
    return Atomics.load(this.words, this.addresses[name] >> 2) >>> 0;
  }

  /** Where the log is on disk up to. */
  get synced(): { segment: number; offset: number } {
    const value = Atomics.load(new BigUint64Array(this.memory, this.addresses.synced, 1), 0);
    return { segment: Number(value >> 32n), offset: Number(value & 0xffffffffn) };
  }

  get freeBytes(): number {
    return this.addresses.ringBytes - ((this.word('head') - this.word('tail')) >>> 0);
  }

  /** Puts a frame in; returns its sequence. The ring has room. */
  append(payload: Uint8Array): number {
    const frame = { generation: this.generation, sequence: this.nextSequence, payload };
    if (frameBytes(frame) > this.freeBytes) throw new Error('the ring is full');
    const bytes = new Uint8Array(this.memory, this.addresses.ring, this.addresses.ringBytes);
    const head = this.word('head');
    encodeFrame(frame).forEach((byte, i) => {
      bytes[(head + i) % bytes.length] = byte;
    });
    Atomics.store(this.words, this.addresses.head >> 2, (head + frameBytes(frame)) | 0);
    Atomics.notify(this.words, this.addresses.head >> 2);
    return this.nextSequence++;
  }
}

/** A payload that tells its sequence, of `length` bytes, none of which is 0. */
export function payloadOf(sequence: number, length = 20): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 1 + ((sequence * 31 + i * 7) % 255));
}

export function committerOf(
  ring: Ring,
  fileSystem: FileSystem,
  options: { segmentBytes: number; firstSegment?: number },
): WalCommitter {
  const { memory, addresses } = ring;
  return new WalCommitter({ fileSystem, dataDirectory: '/data', memory, addresses, firstSegment: 1, ...options });
}

/** Whether a round of the committer made everything durable. */
export function isDurable(outcome: CommitOutcome | undefined): boolean {
  return outcome !== undefined && 'durable' in outcome;
}

export interface Recovered {
  /** In the order of delivery; checkpoint frames are left out. */
  readonly sequences: number[];
  readonly payloads: Map<number, Uint8Array>;
  readonly checkpoint: Uint8Array[];
  readonly report: RecoveryReport;
}

export function recover(fileSystem: FileSystem, dataDirectory = '/data'): Recovered {
  const recovery = recoverWal(fileSystem, dataDirectory);
  const recovered: Omit<Recovered, 'report'> = { sequences: [], payloads: new Map(), checkpoint: [] };
  for (const { kind, sequence, payload } of recovery.frames()) {
    if (kind === 'checkpoint') recovered.checkpoint.push(payload.slice());
    else {
      recovered.sequences.push(sequence);
      recovered.payloads.set(sequence, payload.slice());
    }
  }
  return { ...recovered, report: recovery.report };
}

export function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

export function readAll(fileSystem: FileSystem, path: string): Uint8Array {
  const file = fileSystem.open(path, 'read');
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

export function writeAll(fileSystem: FileSystem, path: string, bytes: Uint8Array): void {
  const file = fileSystem.open(path, 'create');
  file.write(bytes, 0);
  file.sync();
  file.close();
}
