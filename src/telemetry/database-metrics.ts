import type { DatabaseStats, TenantBacklog } from '../../storage/index.ts';
import type { Metrics } from './metrics.ts';

interface DatabaseMetric {
  readonly kind: 'counter' | 'gauge';
  /** Without the prefix. */
  readonly name: string;
  readonly help: string;
}

/** All but those that the API counts by tenant. */
type Figure = Exclude<
  keyof DatabaseStats,
  'samplesStored' | 'samplesDuplicate' | 'samplesConflicting' | 'samplesRejected'
>;

/** What each figure of the engine is called. */
const DATABASE_METRICS: { readonly [Name in Figure]: DatabaseMetric } = {
  headSeries: gauge('head_series', 'Series in the head.'),
  headBytes: gauge('head_memory_bytes', 'Memory that the series and samples of the head take.'),
  memoryBudgetBytes: gauge('head_memory_budget_bytes', 'Memory that the head may take; beyond it writes get 503.'),
  metadataDropped: counter(
    'head_metadata_dropped_total',
    'Descriptions of metrics that were not kept: too long, too many or no text.',
  ),
  exemplarsDropped: counter('head_exemplars_dropped_total', 'Exemplars that were refused.'),
  seriesCreated: counter('head_series_created_total', 'Series that were new to the head.'),
  seriesHidden: counter(
    'head_series_with_reserved_labels_total',
    'Series that were new to the head and came with a label that an external label or the tenant label also is.',
  ),
  seriesRemoved: counter('head_series_removed_total', 'Series that held no samples any more and left the head.'),
  walBytes: gauge('wal_size_bytes', 'Bytes of the files of the WAL.'),
  walPendingBytes: gauge('wal_pending_bytes', 'Bytes of WAL records that are not on disk yet.'),
  walRecordBytes: counter('wal_record_bytes_total', 'Bytes of the records that were written to the WAL.'),
  walReplaySeconds: gauge('wal_replay_seconds', 'How long the replay of the WAL took at the start.'),
  walReplayedSamples: gauge('wal_replayed_samples', 'Samples that the replay brought into the head.'),
  notDurableSeconds: gauge('wal_not_durable_seconds', 'Age of the oldest WAL record that is not on disk yet.'),
  walSyncs: counter('wal_syncs_total', 'Times the WAL was synced to disk.'),
  walSegments: gauge('wal_segments', 'Segments of the WAL that are kept.'),
  walFailing: gauge('wal_failing', '1 while the WAL cannot be written, and writes get 503.'),
  freeBytes: gauge('storage_free_bytes', 'Free space on the disk with the data directory.'),
  minFreeBytes: gauge('storage_min_free_bytes', 'Below so much free space writes get 503.'),
  shortOfSpace: gauge('storage_short_of_space', '1 while writes get 503 because the disk is nearly full.'),
  cuts: counter('head_cuts_total', 'Blocks cut from the head.'),
  checkpoints: counter('wal_checkpoints_total', 'Checkpoints of the WAL that were written.'),
  blocks: gauge('blocks', 'Blocks that can be read.'),
  blocksLocal: gauge('blocks_local', 'Blocks that are on this disk only.'),
  blocksUploaded: gauge('blocks_uploaded', 'Blocks of this server that are in the bucket.'),
  blocksForeign: gauge('blocks_foreign', 'Blocks of others in the bucket.'),
  blocksMarked: gauge('blocks_marked', 'Blocks that are marked for deletion.'),
  blocksPartial: gauge(
    'blocks_partial',
    'Blocks in the bucket that have no meta.json, or whose meta.json was not read yet.',
  ),
  blocksUnreadable: gauge('blocks_unreadable', 'Blocks in the bucket whose meta.json makes no sense.'),
  localBlockBytes: gauge('local_blocks_bytes', 'Bytes of the blocks on this disk.'),
  backlogBlocks: gauge('upload_backlog_blocks', 'Blocks that wait for their upload.'),
  backlogBytes: gauge('upload_backlog_bytes', 'Bytes of the blocks that wait for their upload.'),
  backlogSeconds: gauge('upload_backlog_seconds', 'How long the oldest block has waited for its upload.'),
  bucketFailing: gauge('bucket_failing', '1 while the bucket does not answer as it should.'),
  lastSyncSeconds: gauge(
    'bucket_last_sync_timestamp_seconds',
    'When the bucket was last listed; 0: not since the start.',
  ),
  lastUploadSeconds: gauge(
    'upload_last_success_timestamp_seconds',
    'When a block was last uploaded; 0: not since the start.',
  ),
  uploads: counter('uploads_total', 'Blocks that were uploaded.'),
  uploadedBytes: counter('upload_bytes_total', 'Bytes of blocks that were sent to the bucket.'),
  syncs: counter('bucket_syncs_total', 'Times that the bucket was listed.'),
  evictions: counter('local_blocks_evicted_total', 'Copies of uploaded blocks on this disk that made room.'),
  quarantinedBlocks: gauge('blocks_quarantined', 'Damaged blocks that queries leave out.'),
  snapshots: gauge('snapshots', 'Snapshots that queries hold.'),
  haClusters: gauge('ha_clusters', 'Clusters of HA pairs, each with one elected replica.'),
  haSwitches: counter('ha_switches_total', 'Times that a replica took the place of another one that was silent.'),
  haMissingSeries: gauge(
    'ha_missing_series',
    'Series that replicas which are not elected sent in the last minute, and that are not stored: above 0 for shards that were taken for replicas.',
  ),
  haShadowBytes: gauge('ha_shadow_bytes', 'Bytes of requests of replicas that are not elected, kept for a switch.'),
  haShadowSamples: gauge('ha_shadow_samples', 'Samples in those requests.'),
  haShadowStored: counter('ha_shadow_stored_total', 'Samples that were kept so, and stored at a switch.'),
  haShadowDiscarded: counter('ha_shadow_discarded_total', 'Samples that were kept so, and were not needed.'),
  notShippedSeconds: gauge(
    'wal_not_shipped_seconds',
    'Age of the oldest WAL record of any tenant that is not in the bucket yet: what the loss of the machine would cost.',
  ),
  notShippedBytes: gauge(
    'wal_not_shipped_bytes',
    'Bytes of WAL records, of all tenants, that are not in the bucket yet.',
  ),
  shippedParts: counter('wal_shipped_parts_total', 'Parts of the WAL that were put into the bucket.'),
  shippedCheckpoints: counter('wal_shipped_checkpoints_total', 'Checkpoints that were put into the bucket.'),
  shippedBytes: counter('wal_shipped_bytes_total', 'Bytes of parts and checkpoints that were put into the bucket.'),
  lastShipSeconds: gauge(
    'wal_last_ship_timestamp_seconds',
    'When the whole WAL was in the bucket, as far as it was on disk; 0 if it was not since the start.',
  ),
  shipFailing: gauge('wal_ship_failing', '1 while the bucket does not take the WAL.'),
  fenced: gauge('fenced', '1 if a restored process has taken over the instance, and writes get 503.'),
  tenants: gauge('tenants', 'Tenants with series in the head.'),
};

/** Exports the engine's figures as `varve_…`; `read` is asked once a scrape. */
export function exportDatabase(metrics: Metrics, read: () => DatabaseStats): void {
  let stats: DatabaseStats | undefined;
  metrics.beforeScrape(() => {
    stats = read();
  });
  for (const [figure, { kind, name, help }] of Object.entries(DATABASE_METRICS)) {
    const value = (): number | undefined => stats?.[figure as Figure];
    if (kind === 'counter') metrics.counterFrom({ name, help }, value);
    else metrics.gaugeFrom({ name, help }, value);
  }
}

/** Exports what of each tenant's log is not in the bucket; `read` is asked once a scrape. */
export function exportTenantBacklogs(metrics: Metrics, read: () => readonly TenantBacklog[]): void {
  let backlogs: readonly TenantBacklog[] = [];
  metrics.beforeScrape(() => {
    backlogs = read();
  });
  const valuesOf = (figure: 'seconds' | 'bytes') => () =>
    backlogs.map(({ tenant, [figure]: value }) => ({ labels: { tenant }, value }));
  const labelNames = ['tenant'];
  metrics.gaugesFrom(
    {
      name: 'tenant_wal_not_shipped_seconds',
      help: 'Age of the oldest WAL record of the tenant that is not in the bucket yet.',
      labelNames,
    },
    valuesOf('seconds'),
  );
  metrics.gaugesFrom(
    {
      name: 'tenant_wal_not_shipped_bytes',
      help: 'Bytes of WAL records of the tenant, written since the start, that are not in the bucket yet.',
      labelNames,
    },
    valuesOf('bytes'),
  );
}

function counter(name: string, help: string): DatabaseMetric {
  return { kind: 'counter', name, help };
}

function gauge(name: string, help: string): DatabaseMetric {
  return { kind: 'gauge', name, help };
}
