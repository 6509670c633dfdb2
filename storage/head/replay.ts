/** The way back after any end of the program: the log into the head, without what blocks of this log hold already. */
import type { BlockCoverage } from '../block/meta.ts';
import { nextTurn } from '../io/executor.ts';
import type { FileSystem } from '../io/file-system.ts';
import type { Kernel } from '../kernel/kernel.ts';
import * as L from '../kernel/layout.ts';
import { StorageError } from '../lib/errors.ts';
import { type RecoveryProgress, type RecoveryReport, recoverWal, type WalRecovery } from '../wal/recovery.ts';
import { type Election, readElection } from './election-record.ts';

/** A block that was cut from this log. */
export interface OwnBlock {
  readonly ulid: string;
  readonly coverage: BlockCoverage;
}

export interface ReplayListener {
  /** Hears of every election of a replica, in the order of the log. */
  readonly onElection: (election: Election) => void;
  readonly onProgress: (progress: RecoveryProgress) => void;
  /** Hears of everything that the log should hold and does not. */
  readonly onDamage: (message: string) => void;
  /** Takes what senders said of metrics; false if the record makes no sense. */
  readonly onMetadata: (record: Uint8Array) => boolean;
}

export interface ReplayOutcome {
  readonly report: RecoveryReport;
  /**
   * The log is worth writing anew: cuts were begun since its checkpoint, so that it holds what the head does not; or it is
   * damaged, and would be at each start.
   */
  readonly isStale: boolean;
}

/** While it replays, the thread answers others this often. */
const TURN_BYTES = 8 * 1024 * 1024;

/**
 * Replays the log of a data directory into a fresh kernel, without what `blocks` hold, and lets it go on behind the
 * log's end. Throws StorageError: 'unavailable' if the log does not fit the memory budget, 'invalid' if a newer version
 * wrote it.
 */
export async function replayLog(
  fileSystem: FileSystem,
  dataDirectory: string,
  kernel: Kernel,
  blocks: readonly OwnBlock[],
  listener: ReplayListener,
): Promise<ReplayOutcome> {
  for (const { coverage } of blocks)
    kernel.cover(kernel.tenant(coverage.tenant), coverage.window, coverage.generation, BigInt(coverage.position));
  const { report, hasSeals } = await replayOnce(
    recoverWal(fileSystem, dataDirectory, listener.onProgress),
    kernel,
    listener,
  );
  if (kernel.orphanSamples > 0) {
    // A definition was damaged, and its second copy comes behind samples that need it. What is there already is met as
    // duplicates, and what makes no sense was reported.
    kernel.memory.setWord(L.OUT_ORPHANS, 0);
    await replayOnce(recoverWal(fileSystem, dataDirectory, listener.onProgress), kernel, {
      ...listener,
      onDamage: () => undefined,
    });
  }
  const isDamaged = reportDamage(report, kernel.orphanSamples, listener);
  freeRetired(kernel);
  kernel.continueLog(BigInt(report.nextSequence), report.nextGeneration);
  return { report, isStale: hasSeals || isDamaged };
}

async function replayOnce(
  recovery: WalRecovery,
  kernel: Kernel,
  { onDamage, onElection, onMetadata }: ReplayListener,
): Promise<{ report: RecoveryReport; hasSeals: boolean }> {
  let sinceTurn = 0;
  let hasSeals = false;
  for (const { kind, sequence, payload, segment, offset } of recovery.frames()) {
    const election = payload[0] === L.RECORD_ELECTION ? readElection(payload) : undefined;
    if (election !== undefined) onElection(election);
    hasSeals ||= payload[0] === L.RECORD_SEAL;
    const isDamaged = payload[0] === L.RECORD_METADATA && !onMetadata(payload);
    const status = isDamaged ? L.REPLAY_DAMAGED : kernel.replay(payload, BigInt(kind === 'checkpoint' ? 0 : sequence));
    if (status === L.OUT_OF_MEMORY) {
      throw new StorageError(
        'unavailable',
        'the log does not fit the memory budget: start with a larger --head.memory-budget',
      );
    }
    if (status === L.REPLAY_DAMAGED)
      onDamage(`${kind} ${segment} at ${offset}: a record of type ${payload[0]} makes no sense`);
    sinceTurn += payload.length;
    if (sinceTurn < TURN_BYTES) continue;
    sinceTurn = 0;
    freeRetired(kernel);
    await nextTurn();
  }
  return { report: recovery.report, hasSeals };
}

/** Tables that have grown leave their old ones, and there are no readers yet. */
function freeRetired(kernel: Kernel): void {
  for (let pieces = kernel.sealRetired(); pieces > 0; ) pieces = kernel.freeRetired(pieces);
}

/** Torn tails are not reported: nothing that was acknowledged was in them. True if there was something to report. */
function reportDamage(report: RecoveryReport, orphanSamples: number, { onDamage }: ReplayListener): boolean {
  for (const { file, offset, length, quarantine } of report.damages)
    onDamage(`${file} at ${offset}: ${length} bytes are damaged, kept as ${quarantine ?? '(could not be kept)'}`);
  for (const { first, last } of report.gaps) onDamage(`records ${first} to ${last} are missing`);
  if (report.missingInCheckpoint > 0) onDamage(`${report.missingInCheckpoint} records of the checkpoint are missing`);
  if (orphanSamples > 0) onDamage(`${orphanSamples} samples belong to series whose definitions are lost`);
  return report.damages.length + report.gaps.length + report.missingInCheckpoint + orphanSamples > 0;
}
