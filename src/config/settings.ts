/** What `varve serve` was told, as plain frozen values: parsed, checked, with every default filled in. */

import type { TimeLimit } from '../../storage/index.ts';
import type { LogFormat, LogLevel } from '../telemetry/log.ts';
import type { Secret } from './secret.ts';

/** Where to listen. An empty host is every interface; port 0 takes a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** When the log is synced: before each answer, or at intervals. */
export const WAL_SYNC_MODES = ['commit', 'interval'] as const;
export type WalSyncMode = (typeof WAL_SYNC_MODES)[number];

/** What a write's answer waits for: the log on this disk, or in the bucket too. */
export const WAL_ACKS = ['local', 'bucket'] as const;
export type WalAck = (typeof WAL_ACKS)[number];

/** The field's flag is named in each comment; src/config/flags.ts has the table. */
export interface ServeSettings {
  /** --web.listen-address, at least one. */
  readonly listenAddresses: readonly ListenAddress[];
  /** --web.external-url without a slash at its end, or undefined if not given. */
  readonly externalUrl: string | undefined;
  /** --web.route-prefix: '' or `/path` without a slash at its end. */
  readonly routePrefix: string;
  /** --web.enable-lifecycle */
  readonly lifecycleEnabled: boolean;
  /** --web.config.file, as given; undefined: none. */
  readonly webConfigFile: string | undefined;
  /** --storage.path, as given. */
  readonly storagePath: string;
  /** --objstore.config: YAML, which may hold secrets; undefined: none. */
  readonly objstoreConfig: Secret | undefined;
  /** --objstore.config-file, as given; undefined: none. */
  readonly objstoreConfigFile: string | undefined;
  /** --objstore.prices-file, as given; undefined: list prices. */
  readonly pricesFile: string | undefined;
  /** --label, as the engine's Labels: [name, value, …] sorted by name. */
  readonly externalLabels: readonly string[];
  /** --head.memory-budget */
  readonly memoryBudgetBytes: number;
  /** --wal.sync */
  readonly walSync: WalSyncMode;
  /** --wal.sync-interval; counts with walSync 'interval'. */
  readonly walSyncIntervalMs: number;
  /** --wal.ship-interval; 0: the log is not shipped. */
  readonly walShipIntervalMs: number;
  /** --wal.ack */
  readonly walAck: WalAck;
  /** --wal.ack-interval; counts with walAck 'bucket'. */
  readonly walAckIntervalMs: number;
  /** --restore */
  readonly restore: boolean;
  /** --restore.instance; undefined: the only one in the bucket. */
  readonly restoreInstance: string | undefined;
  /** --storage.min-free-space; undefined: by the size of the head. */
  readonly minFreeBytes: number | undefined;
  /** --storage.local-blocks */
  readonly localBlocksBytes: number;
  /** --sync-block-duration */
  readonly syncIntervalMs: number;
  /** --consistency-delay */
  readonly consistencyDelayMs: number;
  /** --ignore-deletion-marks-delay */
  readonly ignoreDeletionMarksDelayMs: number;
  /** --min-time; undefined: no limit. */
  readonly minTime: TimeLimit | undefined;
  /** --max-time; undefined: no limit. */
  readonly maxTime: TimeLimit | undefined;
  /** --head.idle-cut */
  readonly idleCutMs: number;
  /** --tsdb.out-of-order.time-window */
  readonly outOfOrderMs: number;
  /** --tsdb.too-far-in-future.time-window */
  readonly futureMs: number;
  /** --receive.max-open-windows */
  readonly maxOpenWindows: number;
  /** --receive.default-tenant-id */
  readonly defaultTenantId: string;
  /** --receive.limits-config-file, as given; undefined: none. */
  readonly limitsConfigFile: string | undefined;
  /** --receive.require-tenant */
  readonly requireTenant: boolean;
  /** --receive.tenant-header */
  readonly tenantHeader: string;
  /** --receive.tenant-label-name */
  readonly tenantLabelName: string;
  /** --receive.relabel-config-file, as given; undefined: none. */
  readonly relabelConfigFile: string | undefined;
  /** --ha.replica-label; undefined: senders are not taken for replicas. */
  readonly haReplicaLabel: string | undefined;
  /** --ha.cluster-label; at least one if there is a replica label. */
  readonly haClusterLabels: readonly string[];
  /** --query.partial-response */
  readonly partialResponse: boolean;
  /** --query.cache-memory */
  readonly queryCacheMemoryBytes: number;
  /** --query.cache-disk */
  readonly queryCacheDiskBytes: number;
  /** --log.level */
  readonly logLevel: LogLevel;
  /** --log.format */
  readonly logFormat: LogFormat;
}

/** What `varve restore` was told. */
export interface RestoreSettings extends Pick<ServeSettings, 'storagePath' | 'objstoreConfig' | 'objstoreConfigFile'> {
  /** --instance; undefined: the only one in the bucket. */
  readonly instance: string | undefined;
  /** --epoch; undefined: the newest with a log. */
  readonly epoch: number | undefined;
  /** --dry-run */
  readonly isDryRun: boolean;
}
