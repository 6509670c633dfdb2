/** What an engine is opened with, and what it reports. */
import type { BucketLocation } from '../bucket/bucket-location.ts';
import type { BlockEvent } from '../catalog/block-event.ts';
import type { BlockSettings } from '../catalog/blocks.ts';
import type { HaEvent, HaLabels } from '../head/ha-pairs.ts';
import type { Clock } from '../io/clock.ts';
import type { Executor } from '../io/executor.ts';
import type { FileSystem } from '../io/file-system.ts';
import type { Random } from '../io/random.ts';
import type { TimeRules } from '../kernel/kernel.ts';
import type { Labels } from '../model/labels.ts';
import type { SeriesPolicy } from '../model/series-policy.ts';
import type { ShipSettings } from '../ship/wal-shipping.ts';
import type { RecoveryProgress } from '../wal/recovery.ts';

/** What the engine reports; it does not log. */
export type DatabaseEvent =
  | ({ readonly kind: 'replay-progress' } & RecoveryProgress)
  | {
      readonly kind: 'cut';
      readonly tenant: string;
      readonly ulid: string;
      readonly minTimeMs: number;
      readonly maxTimeMs: number;
      readonly series: number;
      readonly samples: number;
      readonly durationMs: number;
    }
  | { readonly kind: 'checkpoint'; readonly bytes: number; readonly durationMs: number }
  | { readonly kind: 'wal-failing'; readonly message: string }
  | { readonly kind: 'wal-recovered' }
  /** The space that is left on the disk is kept for blocks and checkpoints: writes are refused until there is more. */
  | { readonly kind: 'disk-short'; readonly message: string }
  | { readonly kind: 'disk-roomy' }
  | HaEvent
  | BlockEvent
  /** Damaged bytes in the log. */
  | { readonly kind: 'wal-damage'; readonly message: string }
  /** A query found a damaged block: it is left out of all answers for some hours. */
  | { readonly kind: 'block-quarantined'; readonly ulid: string; readonly message: string }
  /** Work beside the writes failed and is tried again. */
  | { readonly kind: 'retry'; readonly what: string; readonly message: string }
  /** The bucket does not take the log: it is kept here and tried again. */
  | { readonly kind: 'ship-failing'; readonly message: string }
  | { readonly kind: 'ship-recovered' }
  /** A higher epoch of this instance is in the bucket: nothing is accepted, and nothing in the bucket changed, any more. */
  | { readonly kind: 'fenced'; readonly message: string }
  /** The engine must not go on: the process is to end, and the log restores what it held. */
  | { readonly kind: 'failed'; readonly message: string };

export interface DatabaseOptions {
  readonly directory: string;
  /** Bytes that the series and samples in the head may take. */
  readonly memoryBudgetBytes: number;
  /** Labels of all series of this engine besides their own. */
  readonly externalLabels: Labels;
  /** The label that names a block's tenant in its Thanos section. */
  readonly tenantLabelName: string;
  /** Whose blocks are that name no tenant. */
  readonly defaultTenant: string;
  /** Where blocks go for good; undefined: they stay in `bucket/` of the directory. */
  readonly bucket?: BucketLocation;
  /** How blocks are kept and found. */
  readonly blocks?: BlockSettings;
  /** How the log goes to the bucket; undefined: not at all. */
  readonly ship?: ShipSettings;
  /** Who ships: for people, in the bucket. */
  readonly host?: string;
  /** The file of the block catalogue; undefined: it is in memory, and made anew at each start. */
  readonly catalogPath?: string;
  /** A tenant that was silent for so long is cut whole. */
  readonly idleCutMs: number;
  /** Which times samples may have; see `defaultTimeRules`. */
  readonly times?: Partial<TimeRules>;
  /** What is done with the labels of every series before it is stored. */
  readonly policy?: SeriesPolicy;
  /** Of several senders with the same series, only what one sends is stored. */
  readonly ha?: HaLabels;
  readonly walSegmentBytes?: number;
  /** How long a write may be answered before it is synced; 0, the default: it is answered after. */
  readonly walSyncIntervalMs?: number;
  /** What writes leave free on the disk; by default half of what the head takes, and at least 64 MiB. */
  readonly minFreeBytes?: number;
  /** Dead series leave the head when there are so many, and a tenth of all. */
  readonly deadSeriesAtLeast?: number;
  /** What reader threads keep of blocks in the bucket: bytes in the memory of each, and on disk for all. */
  readonly queryCache?: { readonly memoryBytes: number; readonly diskBytes: number };
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly executor: Executor;
  readonly onEvent: (event: DatabaseEvent) => void;
}
