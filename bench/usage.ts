/** What a program costs, as Linux counts it, and what the machine is that it runs on. */
import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';

/** Linux counts CPU time in hundredths of a second, whatever its own tick is. */
const TICKS_PER_SECOND = 100;

/** CPU seconds of a program since its start, user and system, all its threads. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name before the last parenthesis may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory of a program, now and at its highest, in bytes. */
export function residentBytes(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0);
  return { now: kibibytes('VmRSS') * 1024, peak: kibibytes('VmHWM') * 1024 };
}

/** Bytes of disk that the files under a directory take; files that vanish meanwhile count nothing. */
export function diskBytes(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    try {
      bytes += entry.isDirectory() ? diskBytes(path) : statSync(path).blocks * 512;
    } catch {
      // Removed between the two calls.
    }
  }
  return bytes;
}

/** The type of the file system that holds a directory: ext4, xfs, tmpfs … */
export function fileSystemType(directory: string): string {
  const path = `${realpathSync(directory)}/`;
  let found = { mountPoint: '', type: 'unknown' };
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, mountPoint = '', type = ''] = line.split(' ');
    const prefix = mountPoint.endsWith('/') ? mountPoint : `${mountPoint}/`;
    // Of two mounts at one place the later one is seen.
    if (mountPoint !== '' && path.startsWith(prefix) && prefix.length >= found.mountPoint.length) {
      found = { mountPoint: prefix, type };
    }
  }
  return found.type;
}

/** The machine in one line. */
export function machine(): string {
  const all = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  return `${all.length} × ${all[0]?.model.trim()}, ${memory} GiB, Linux ${release()}, Node ${process.version}`;
}
