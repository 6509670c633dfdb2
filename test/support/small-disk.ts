/** A small ext4 of its own in a file, for full disks and power cuts. Needs root and a loop device. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { TemporaryDirectory } from './temporary-directory.ts';
import { until } from './until.ts';

/** EXT4_IOC_SHUTDOWN with "no log flush": what was not synced is lost, and nothing more can be written. */
const SHUTDOWN = `
  open(my $directory, "<", $ARGV[0]) or die $!;
  ioctl($directory, 0x8004587D, my $flags = pack("I", 2)) or die $!;
`;

/** Mounted from construction to disposal. End the programs that use it first: declare it before them. */
export class SmallDisk implements Disposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #temporary: TemporaryDirectory;
  readonly #filler: string;
  readonly #image: string;

  constructor(sizeBytes: number) {
    this.#temporary = new TemporaryDirectory('disk');
    this.#image = join(this.#temporary.path, 'image');
    this.path = join(this.#temporary.path, 'mount');
    this.#filler = join(this.path, 'filler');
    writeFileSync(this.#image, '');
    truncateSync(this.#image, sizeBytes);
    mkdirSync(this.path);
    execFileSync('mkfs.ext4', ['-q', '-F', '-m', '0', this.#image]);
    this.#mount();
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

  /**
   * Cuts the power of the disk under a running program, which is left standing still: it has to be killed before
   * `powerOn`. It is stopped first, because a sync that races the cut may return as if it had worked.
   */
  async cutPower(pid: number): Promise<void> {
    await this.stop(pid);
    execFileSync('perl', ['-e', SHUTDOWN, this.path]);
  }

  /** Stops a program with all its threads. */
  async stop(pid: number): Promise<void> {
    process.kill(pid, 'SIGSTOP');
    const areStopped = (): boolean => readdirSync(`/proc/${pid}/task`).every((task) => isStopped(pid, task));
    await until('all threads to stop', areStopped, { everyMs: 1 });
  }

  /** Mounts the disk again with what had reached it. */
  powerOn(): void {
    execFileSync('umount', [this.path]);
    this.#mount();
  }

  [Symbol.dispose](): void {
    execFileSync('umount', [this.path]);
    this.#temporary[Symbol.dispose]();
  }

  #mount(): void {
    execFileSync('mount', ['-o', 'loop', this.#image, this.path]);
  }
}

function writeUntilFull(file: number, bytes: Buffer): void {
  try {
    for (;;) if (writeSync(file, bytes) < bytes.length) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

function isStopped(pid: number, task: string): boolean {
  const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
  return stat[stat.lastIndexOf(')') + 2] === 'T';
}
