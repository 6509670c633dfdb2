/**
 * A block's meta.json: what the block holds, where it comes from and whose it is. The names are those of the file, which
 * Prometheus and Thanos define (tsdb/block.go; pkg/block/metadata/meta.go); times are ms, and `[minTime, maxTime)` is
 * half-open. Fields that we do not know survive reading and writing. Spec: docs/formats/block.md.
 */
import { CorruptionError } from '../lib/errors.ts';
import { isUlid } from '../lib/ulid.ts';
import { compareUtf8, type Labels } from '../model/labels.ts';
import type { TimeRange } from '../model/time-range.ts';

export const META_VERSION = 1;
const THANOS_VERSION = 1;

/** Zeros are left out in the file. */
interface BlockStats {
  readonly numSamples?: number;
  readonly numFloatSamples?: number;
  readonly numHistogramSamples?: number;
  readonly numSeries?: number;
  readonly numChunks?: number;
  readonly numTombstones?: number;
}

interface BlockParent {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
}

export interface BlockCompaction {
  /** 1 for a block cut from a head; one more than the highest of its parents otherwise. */
  readonly level: number;
  /** The blocks of level 1 whose samples are in this one. */
  readonly sources?: readonly string[];
  readonly deletable?: boolean;
  readonly parents?: readonly BlockParent[];
  readonly failed?: boolean;
  readonly hints?: readonly string[];
}

/** A file of the block; meta.json itself is listed without its size. */
export interface BlockFile {
  readonly rel_path: string;
  readonly size_bytes?: number;
}

export interface ThanosMeta {
  readonly version?: number;
  /** Labels of all series of the block besides their own, and of its owner. */
  readonly labels: Readonly<Record<string, string>>;
  /** ms between samples; 0 for raw data. */
  readonly downsample: { readonly resolution: number };
  readonly source: string;
  readonly segment_files?: readonly string[];
  readonly files?: readonly BlockFile[];
  readonly index_stats?: { readonly series_max_size?: number; readonly chunk_max_size?: number };
  readonly extensions?: Readonly<Record<string, unknown>>;
  /** RFC 3339. */
  readonly upload_time?: string;
}

export interface BlockMeta {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
  readonly stats: BlockStats;
  readonly compaction: BlockCompaction;
  readonly version: number;
  /** Absent in a block that Prometheus wrote and Thanos has not seen. */
  readonly thanos?: ThanosMeta;
}

/** Which samples of which log a block holds: what a replay of that log leaves out. */
export interface BlockCoverage {
  readonly format: typeof COVERAGE_FORMAT;
  /** The process's data directory, and its restore epoch. */
  readonly instance: string;
  readonly epoch: number;
  readonly tenant: string;
  /** The 2 h window, and which of its generations. */
  readonly window: number;
  readonly generation: number;
  /** The position in the log at which the generation was sealed. */
  readonly position: number;
}

export const COVERAGE_FORMAT = 1;

/** Labels of the Thanos section that name an owner or a shard, in Thanos, Cortex and Mimir; they belong to no series. */
const OWNER_LABELS = ['tenant_id', '__org_id__', '__compactor_shard_id__', '__out_of_order__'];

/** The time range of a block's samples. */
export function blockRange(meta: BlockMeta): TimeRange {
  return { minTimeMs: meta.minTime, maxTimeMs: meta.maxTime };
}

/** The size of a file of the block, if its meta.json lists it. */
export function fileBytes(meta: BlockMeta, path: string): number | undefined {
  return meta.thanos?.files?.find((file) => file.rel_path === path)?.size_bytes;
}

/** The labels that every series of the block has besides its own. `tenantLabelName` is the owner's label here. */
export function blockExternalLabels(meta: BlockMeta, tenantLabelName: string): Labels {
  return Object.entries(meta.thanos?.labels ?? {})
    .filter(([name]) => name !== tenantLabelName && !OWNER_LABELS.includes(name))
    .sort(([a], [b]) => compareUtf8(a, b))
    .flat();
}

/** The file's bytes as Go writes them: indented by tabs, a newline at the end. Fields keep their order. */
export function encodeMeta(meta: BlockMeta): Uint8Array {
  const text = JSON.stringify(meta, undefined, '\t');
  // Go escapes what could end a script element.
  const escaped = text.replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
  return new TextEncoder().encode(`${escaped}\n`);
}

/** Reads a meta.json; `file` is the name that errors give. Throws CorruptionError that names the field. */
export function parseMeta(bytes: Uint8Array, file: string): BlockMeta {
  const meta = new Field(file, '', parseJson(bytes, file));
  const version = meta.at('version').integer(0);
  if (version !== META_VERSION) meta.at('version').fail(`${version}, but only ${META_VERSION} can be read`);
  meta.at('ulid').ulid();
  const minTime = meta.at('minTime').integer();
  if (meta.at('maxTime').integer() < minTime) meta.at('maxTime').fail('before minTime');
  const stats = meta.at('stats');
  for (const name of stats.absent ? [] : stats.names()) stats.at(name).integer(0);
  checkCompaction(meta.at('compaction'));
  if (!meta.at('thanos').absent) checkThanos(meta.at('thanos'));
  return withDefaults(meta.value as BlockMeta);
}

/** Go reads an absent field as empty, and writes an empty one as null or not at all. */
function withDefaults(meta: BlockMeta): BlockMeta {
  const thanos = meta.thanos;
  const stats = meta.stats ?? {};
  if (thanos === undefined || thanos === null) return { ...meta, stats };
  const { labels, downsample, source } = thanos;
  return {
    ...meta,
    stats,
    thanos: { ...thanos, labels: labels ?? {}, downsample: downsample ?? { resolution: 0 }, source: source ?? '' },
  };
}

/**
 * The log range that a block of ours covers; undefined for a block of others. Throws CorruptionError for one that a newer
 * version wrote.
 */
export function blockCoverage(meta: BlockMeta, file: string): BlockCoverage | undefined {
  const coverage = new Field(file, 'thanos.extensions.varve', meta.thanos?.extensions?.varve);
  if (coverage.absent) return undefined;
  const format = coverage.at('format').integer(1);
  if (format !== COVERAGE_FORMAT) coverage.at('format').fail(`${format}, but only ${COVERAGE_FORMAT} can be read`);
  for (const name of ['instance', 'tenant']) coverage.at(name).string();
  for (const name of ['epoch', 'generation', 'position']) coverage.at(name).integer(0);
  coverage.at('window').integer();
  return coverage.value as BlockCoverage;
}

function checkCompaction(compaction: Field): void {
  compaction.at('level').integer(0);
  for (const source of compaction.at('sources').items()) source.ulid();
  for (const parent of compaction.at('parents').items()) {
    parent.at('ulid').ulid();
    parent.at('minTime').integer();
    parent.at('maxTime').integer();
  }
  for (const hint of compaction.at('hints').items()) hint.string();
}

function checkThanos(thanos: Field): void {
  const version = thanos.at('version');
  // The first versions of Thanos wrote none.
  if (!version.absent && version.integer(0) > THANOS_VERSION) version.fail(`only ${THANOS_VERSION} can be read`);
  const labels = thanos.at('labels');
  for (const name of labels.absent ? [] : labels.names()) labels.at(name).string();
  const downsample = thanos.at('downsample');
  if (!downsample.absent) downsample.at('resolution').integer(0);
  if (!thanos.at('source').absent) thanos.at('source').string();
  for (const segment of thanos.at('segment_files').items()) segment.string();
  for (const file of thanos.at('files').items()) {
    file.at('rel_path').string();
    if (!file.at('size_bytes').absent) file.at('size_bytes').integer(0);
  }
  const extensions = thanos.at('extensions');
  if (!extensions.absent) extensions.names();
  const uploadTime = thanos.at('upload_time');
  if (!uploadTime.absent) uploadTime.string();
}

/** A value in a JSON document and its path in it; each check throws a CorruptionError that names the path. */
class Field {
  readonly #file: string;
  readonly #path: string;
  readonly value: unknown;

  constructor(file: string, path: string, value: unknown) {
    this.#file = file;
    this.#path = path;
    this.value = value;
  }

  get absent(): boolean {
    return this.value === undefined || this.value === null;
  }

  at(name: string): Field {
    if (typeof this.value !== 'object' || this.value === null) this.fail('not an object');
    const value = Object.hasOwn(this.value, name) ? (this.value as Record<string, unknown>)[name] : undefined;
    return new Field(this.#file, this.#path === '' ? name : `${this.#path}.${name}`, value);
  }

  /** The names in an object. */
  names(): string[] {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) this.fail('not an object');
    return Object.keys(this.value);
  }

  /** The items of a list; an absent one has none. */
  items(): Field[] {
    if (this.absent) return [];
    if (!Array.isArray(this.value)) this.fail('not a list');
    return this.value.map((item, i) => new Field(this.#file, `${this.#path}[${i}]`, item));
  }

  integer(min: number = Number.MIN_SAFE_INTEGER): number {
    if (!Number.isSafeInteger(this.value)) this.fail('not an integer');
    if ((this.value as number) < min) this.fail(`less than ${min}`);
    return this.value as number;
  }

  string(): string {
    if (typeof this.value !== 'string') this.fail('not a string');
    return this.value;
  }

  ulid(): void {
    if (!isUlid(this.string())) this.fail('not a ULID');
  }

  fail(why: string): never {
    const shown = JSON.stringify(this.value)?.slice(0, 64) ?? 'nothing';
    throw new CorruptionError(this.#file, 0, `${this.#path || 'the document'} is ${shown}: ${why}`);
  }
}

function parseJson(bytes: Uint8Array, file: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw new CorruptionError(file, 0, `not JSON: ${(error as Error).message}`);
  }
}
