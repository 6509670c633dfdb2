/**
 * Every byte of a log flipped, one at a time: a log as the engine writes it, of two tenants, with every record type, a
 * checkpoint and several segments. Every record that does not cover the byte comes back as it was, and nothing else.
 */
import * as L from '../../storage/kernel/layout.ts';
import { type RecoveredFrame, recoverWal, type WalRecovery } from '../../storage/wal/recovery.ts';
import { OpenedDatabase } from '../support/opened-database.ts';
import { writeRequest } from '../support/remote-write.ts';
import { writeRequestV2 } from '../support/remote-write-v2.ts';
import { SimFileSystem, seededChance } from '../support/sim-file-system.ts';
import { SimMachine } from '../support/sim-machine.ts';

/** Every type that the engine writes; a new one is to be added here and to `writeLog`. */
const RECORD_TYPES: readonly number[] = [
  L.RECORD_DEFINITIONS,
  L.RECORD_SAMPLES,
  L.RECORD_SEAL,
  L.RECORD_CHUNKS,
  L.RECORD_CHECKPOINT,
  L.RECORD_ITEMS,
  L.RECORD_KEPT_ITEMS,
  L.RECORD_METADATA,
  L.RECORD_ELECTION,
];
const TENANTS = ['a', 'b'];
const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000;
const SEGMENT_BYTES = 3000;
const SEGMENTS = 3;
const WAL = '/data/wal';

/** A record of the log, and where it lies. */
interface Place {
  readonly file: string;
  readonly from: number;
  readonly to: number;
  /** Tells it from all others, its content included. */
  readonly identity: string;
}

export interface FlippableLog {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly places: readonly Place[];
  readonly segments: number;
  readonly bytes: number;
}

export interface FlipTally {
  flips: number;
  /** Flips that hit a record. */
  hits: number;
  /** Hits that were not reported, but for the newest record, which looks like one whose write was cut short. */
  unnoticed: number;
  readonly violations: string[];
}

/** Writes until the log has all that it should have at the same time. */
export async function writeLog(): Promise<FlippableLog> {
  const disk = new SimFileSystem();
  disk.makeDirectory('/data');
  const machine = new SimMachine(disk, START_MS + 48 * HOUR_MS, seededChance(1));
  const opened = await OpenedDatabase.open(machine, {
    walSegmentBytes: SEGMENT_BYTES,
    ha: { replica: 'replica', clusters: ['cluster'] },
  });
  for (let n = 0; n < 2000; n++) {
    for (const tenant of TENANTS) {
      const fromMs = START_MS + n * 300_000;
      const samples = Array.from({ length: 10 }, (_, i) => [fromMs + i * 30_000, Math.sin(n + i)] as const);
      await opened.write(tenant, samples, n % 5);
      // A start timestamp of its own is an item; so are histograms and exemplars.
      await opened.database.write(tenant, counterRequest(fromMs, n), { protocol: 'v2' });
    }
    await opened.database.write('a', pairRequest(START_MS + n * 300_000, n));
    machine.clock.advance(300);
    // Few turns: a cut is under way most of the time, its seal in the log and its checkpoint not yet written.
    await machine.turns(2);
    const log = readLog(disk);
    if (isComplete(log)) {
      machine.stop();
      return log;
    }
  }
  throw new Error('the log never had all record types at once');
}

/** Flips the byte at each of `offsets`, counted over all files one after the other, by each of `masks`. */
export function flipBytes(
  { files, places }: FlippableLog,
  offsets: Iterable<number>,
  masks: readonly number[],
  onProgress: (tally: FlipTally) => void = () => {},
): FlipTally {
  const tally: FlipTally = { flips: 0, hits: 0, unnoticed: 0, violations: [] };
  const newest = places.findLast(({ file }) => !file.startsWith('checkpoint'));
  for (const offset of offsets) {
    const { file, at } = positionOf(files, offset);
    const hit = places.find((place) => place.file === file && place.from <= at && at < place.to);
    for (const mask of masks) {
      const changed = (files.get(file) as Uint8Array).slice();
      changed[at] = (changed[at] as number) ^ mask;
      const { identities, isNoticed } = recover(new Map(files).set(file, changed));
      const expected = places.filter((place) => place !== hit).map(({ identity }) => identity);
      tally.flips++;
      if (hit !== undefined) tally.hits++;
      if (hit !== undefined && hit !== newest && !isNoticed) tally.unnoticed++;
      const difference = firstDifference(identities, expected);
      if (difference !== undefined) tally.violations.push(`${file} at ${at} ^ ${mask}: ${difference}`);
    }
    onProgress(tally);
  }
  return tally;
}

/** With a start timestamp and metadata that change. */
function counterRequest(timestampMs: number, n: number): Uint8Array {
  return writeRequestV2([
    {
      labels: [['__name__', 'counter']],
      samples: [[timestampMs, n, timestampMs - 1000]],
      metadata: { type: 1, help: `help ${n}` },
    },
  ]);
}

/** Of a replica of a pair, whose cluster is new now and then: each is an election. */
function pairRequest(timestampMs: number, n: number): Uint8Array {
  return writeRequest([
    {
      labels: [
        ['__name__', 'up'],
        ['cluster', String(Math.floor(n / 10))],
        ['replica', 'x'],
      ],
      samples: [[timestampMs, 1]],
    },
  ]);
}

function readLog(disk: SimFileSystem): FlippableLog {
  const files = new Map<string, Uint8Array>();
  for (const { name } of disk.list(WAL)) {
    if (!/^(?:\d+|checkpoint\.\d+)$/.test(name)) continue;
    const file = disk.open(`${WAL}/${name}`, 'read');
    const bytes = new Uint8Array(file.size());
    file.read(bytes, 0);
    files.set(name, bytes);
  }
  const places: Place[] = [];
  for (const frame of recoveryOf(files).frames()) {
    const number = String(frame.segment).padStart(8, '0');
    const file = frame.kind === 'checkpoint' ? `checkpoint.${number}` : number;
    places.push({
      file,
      from: frame.offset,
      to: frame.offset + L.FRAME_HEADER_BYTES + frame.payload.length,
      identity: identityOf(frame),
    });
  }
  const segments = [...files.keys()].filter((name) => !name.startsWith('checkpoint')).length;
  return { files, places, segments, bytes: [...files.values()].reduce((sum, { length }) => sum + length, 0) };
}

function isComplete({ files, places, segments }: FlippableLog): boolean {
  const types = new Set(places.map(({ identity }) => Number.parseInt(identity.slice(-2), 16)));
  const hasCheckpoint = [...files.keys()].some((name) => name.startsWith('checkpoint'));
  return hasCheckpoint && segments >= SEGMENTS && RECORD_TYPES.every((type) => types.has(type));
}

function positionOf(files: ReadonlyMap<string, Uint8Array>, offset: number): { file: string; at: number } {
  let at = offset;
  for (const [file, { length }] of files) {
    if (at < length) return { file, at };
    at -= length;
  }
  throw new RangeError(`the log has no byte ${offset}`);
}

function recoveryOf(files: ReadonlyMap<string, Uint8Array>): WalRecovery {
  const disk = new SimFileSystem();
  disk.makeDirectory(WAL);
  for (const [name, bytes] of files) disk.open(`${WAL}/${name}`, 'create').write(bytes, 0);
  return recoverWal(disk, '/data');
}

function recover(files: ReadonlyMap<string, Uint8Array>): { identities: string[]; isNoticed: boolean } {
  const recovery = recoveryOf(files);
  const identities = Array.from(recovery.frames(), identityOf);
  const { damages, gaps, missingInCheckpoint } = recovery.report;
  return { identities, isNoticed: damages.length > 0 || gaps.length > 0 || missingInCheckpoint > 0 };
}

/** The bytes of the payload backwards, so that the type stands at the end. */
function identityOf({ kind, sequence, payload }: RecoveredFrame): string {
  return `${kind} ${sequence} ${Buffer.from(payload).reverse().toString('hex')}`;
}

function firstDifference(got: readonly string[], expected: readonly string[]): string | undefined {
  const known = new Set(expected);
  const there = new Set(got);
  const lost = expected.find((identity) => !there.has(identity));
  if (lost !== undefined) return `lost ${lost.slice(0, 40)}`;
  const invented = got.find((identity) => !known.has(identity));
  if (invented !== undefined) return `${invented.slice(0, 40)}, which nobody wrote`;
  return got.length === expected.length ? undefined : `${got.length} records, ${expected.length} were expected`;
}
