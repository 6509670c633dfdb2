/** A small ext4 of its own in a file, for full disks. Needs root and a loop device. */
import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { TemporaryDirectory } from './temporary-directory.ts';

/** Mounted from construction to disposal. End the programs that use it first: declare it before them. */
export class SmallDisk implements Disposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #temporary: TemporaryDirectory;
  readonly #filler: string;

  constructor(sizeBytes: number) {
    this.#temporary = new TemporaryDirectory('disk');
    const image = join(this.#temporary.path, 'image');
    this.path = join(this.#temporary.path, 'mount');
    this.#filler = join(this.path, 'filler');
    writeFileSync(image, '');
    truncateSync(image, sizeBytes);
    mkdirSync(this.path);
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
    execFileSync('mount', ['-o', 'loop', image, this.path]);
  }

  /** Takes all free space. */
  fill(): void {
    const file = openSync(this.#filler, 'a');
    try {
      for (const bytes of [Buffer.alloc(2 ** 20, 1), Buffer.alloc(4096, 1)]) writeUntilFull(file, bytes);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }

  /** Gives the space back. */
  free(): void {
    rmSync(this.#filler, { force: true });
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [this.path]);
    this.#temporary[Symbol.dispose]();
  }
}

function writeUntilFull(file: number, bytes: Buffer): void {
  try {
    for (;;) if (writeSync(file, bytes) < bytes.length) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}
