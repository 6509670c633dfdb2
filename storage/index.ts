/** The engine's one door. */

export {
  BUCKET_PURPOSES,
  type Bucket,
  type BucketObject,
  type BucketPurpose,
  bytesContent,
  type ObjectContent,
} from './bucket/bucket.ts';
export { type BucketLocation, type BucketWorld, type OpenBucket, openBucketAt } from './bucket/bucket-location.ts';
export { type BucketOperation, BucketUsage, type OperationUsage } from './bucket/bucket-usage.ts';
export { DirectoryBucket } from './bucket/directory-bucket.ts';
export { checkedName } from './bucket/object-name.ts';
export type { BlockEvent } from './catalog/block-event.ts';
export type { BlockGrowth, BlockUsage } from './catalog/block-usage.ts';
export { type MergedSamples, mergeChunks, mergeSamples } from './chunk/merge-chunks.ts';
export { isRestorable } from './data-directory.ts';
export { Database, type DatabaseStats } from './database/database.ts';
export type { DatabaseEvent, DatabaseOptions } from './database/database-options.ts';
export type { HaClusterStatus, HaLabels } from './head/ha-pairs.ts';
export type { WriteOptions } from './head/head-writer.ts';
export type { Snapshot } from './head/snapshots.ts';
export { defaultTenantLimits, limitName, type TenantLimits } from './head/tenant-limits.ts';
export type { WriteOutcome } from './head/write-outcome.ts';
export { type Clock, systemClock } from './io/clock.ts';
export { type Executor, inlineExecutor, moduleUrl, nextTurn, type Port, workerExecutor } from './io/executor.ts';
export type { FileSystem } from './io/file-system.ts';
export { nodeFileSystem } from './io/node-file-system.ts';
export { type Random, systemRandom } from './io/random.ts';
export type { World } from './io/world.ts';
export { ChunkCodec } from './kernel/chunk-codec.ts';
export type { WriteFormat } from './kernel/kernel.ts';
export { ByteWriter } from './lib/bytes.ts';
export { crc32c } from './lib/crc32c.ts';
export { DURATION_UNITS_MS } from './lib/duration.ts';
export { CorruptionError, LimitError, StorageError, type StorageErrorKind } from './lib/errors.ts';
export type { MetricMetadata } from './model/extras.ts';
export { type HistogramRow, ResetHint } from './model/histogram.ts';
export { encodeHistogramMessage } from './model/histogram-message.ts';
export { compareUtf8, type Labels } from './model/labels.ts';
export { Matcher, type MatcherType } from './model/matcher.ts';
export { SampleBuffer } from './model/sample-buffer.ts';
export type { SeriesPolicy } from './model/series-policy.ts';
export { type Chunk, chunkSampleCount, type SeriesSource } from './model/series-source.ts';
export type { TimeLimit, TimeRange } from './model/time-range.ts';
export {
  RestoreChoiceError,
  type RestoreOptions,
  type RestoreReport,
  restore,
} from './restore.ts';
export { BlockError, BlockFaults } from './select/block-faults.ts';
export { readChunks } from './select/read-chunks.ts';
export { openReader, type Reader, type ReaderInit } from './select/reader.ts';
export { labelNames, labelValues } from './select/select-labels.ts';
export { type MergedSeries, selectLabelSets, selectSeries } from './select/select-series.ts';
export type { TenantBacklog } from './ship/ship-backlog.ts';
export type { ShippedInstance } from './ship/shipped-log.ts';
export type { ShipSettings } from './ship/wal-shipping.ts';
