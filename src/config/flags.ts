/**
 * The flags of `varve serve`: one table from which the command line, the environment, `--help` and the settings follow.
 * Names and meanings are those of Prometheus and Thanos where the thing is the same.
 */

import type { TimeLimit } from '../../storage/index.ts';
import { LOG_FORMATS, LOG_LEVELS } from '../telemetry/log.ts';
import { isTenantId } from '../tenants/tenant-id.ts';
import { parseExternalLabels, parseLabelName } from './external-labels.ts';
import { parseListenAddress } from './listen-address.ts';
import { secretOf } from './secret.ts';
import { type RestoreSettings, type ServeSettings, WAL_ACKS, WAL_SYNC_MODES } from './settings.ts';
import { parseDuration, parseSize } from './units.ts';
import { ValueError } from './value-error.ts';

/** One flag. `parse` gets what was given (or the default), and throws ValueError. */
export interface Flag<Value = unknown> {
  /** Without the dashes. */
  readonly name: string;
  /** What stands for the value in --help; '' for a switch. */
  readonly placeholder: string;
  readonly description: string;
  /** The texts that are parsed when nothing is given. */
  readonly defaults: readonly string[];
  /** What --help says about the default where `defaults` does not say it. */
  readonly defaultNote?: string;
  readonly repeatable: boolean;
  readonly parse: (texts: readonly string[]) => Value;
}

/** A command line or environment that cannot be used: the whole sentence for the user. Exit code 2. */
export class FlagError extends Error {
  override name = 'FlagError';
}

/** The share of the machine's (or container's) memory that the head may take by default. */
const HEAD_MEMORY_SHARE = 0.5;
const SMALLEST_HEAD_BYTES = 64 * 1024 * 1024;
/** The head lies in one WebAssembly memory, which ends at 4 GiB and holds requests and the WAL's ring too. */
const LARGEST_HEAD_BYTES = 3840 * 1024 * 1024;
/** The head of a tenant spans 3 h between cuts, and one window more comes within the time of a cut. */
const FEWEST_OPEN_WINDOWS = 4;
/** Half a year. */
const MOST_OPEN_WINDOWS = 2048;
const YEAR_MS = 365 * 86_400_000;
const MOST_EPOCHS = 99_999_999;
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** Settings as the flags alone say them; undefined: follows from the machine or from another flag. */
type GivenSettings = Omit<ServeSettings, 'routePrefix' | 'memoryBudgetBytes'> & {
  readonly routePrefix: string | undefined;
  readonly memoryBudgetBytes: number | undefined;
};

/** Every flag of `serve` under the name of its setting, in the order of --help. */
export const SERVE_FLAGS: { readonly [Setting in keyof GivenSettings]: Flag<GivenSettings[Setting]> } = {
  listenAddresses: {
    name: 'web.listen-address',
    placeholder: '<host:port>',
    description: 'Address to listen on; may be given more than once. Port 0 takes a free one.',
    defaults: ['127.0.0.1:8470'],
    repeatable: true,
    parse: (texts) => texts.map(parseListenAddress),
  },
  externalUrl: {
    name: 'web.external-url',
    placeholder: '<URL>',
    description: 'The URL under which others reach Varve, if a proxy stands before it.',
    defaults: [],
    repeatable: false,
    parse: optional(parseExternalUrl),
  },
  routePrefix: {
    name: 'web.route-prefix',
    placeholder: '<path>',
    description: 'Prefix of every HTTP path.',
    defaults: [],
    defaultNote: 'path of --web.external-url',
    repeatable: false,
    parse: optional(parseRoutePrefix),
  },
  lifecycleEnabled: {
    name: 'web.enable-lifecycle',
    placeholder: '',
    description: 'Enable POST /-/reload and /-/quit.',
    defaults: ['false'],
    repeatable: false,
    parse: one(parseSwitch),
  },
  webConfigFile: {
    name: 'web.config.file',
    placeholder: '<file>',
    description: 'TLS, basic authentication, response headers and rate limit, in the format of Prometheus. Reloaded.',
    defaults: [],
    repeatable: false,
    parse: optional(parseFilePath),
  },
  storagePath: {
    name: 'storage.path',
    placeholder: '<directory>',
    description: 'Data directory: WAL, blocks and bucket. Made if it is not there.',
    defaults: ['./data'],
    repeatable: false,
    parse: one(parsePath),
  },
  objstoreConfigFile: {
    name: 'objstore.config-file',
    placeholder: '<file>',
    description: "The bucket for blocks, in Thanos's format: S3, GCS, AZURE or FILESYSTEM. Variables are expanded.",
    defaults: [],
    defaultNote: 'none: blocks stay in bucket/ of the data directory',
    repeatable: false,
    parse: optional(parseFilePath),
  },
  objstoreConfig: {
    name: 'objstore.config',
    placeholder: '<YAML>',
    description: 'What would stand in --objstore.config-file. On a command line, everybody on the machine can read it.',
    defaults: [],
    repeatable: false,
    parse: optional(secretOf),
  },
  pricesFile: {
    name: 'objstore.prices-file',
    placeholder: '<file>',
    description: 'What requests and bytes cost at the store, for /api/v1/status/objstore and the forecast in the log.',
    defaults: [],
    defaultNote: 'list prices of AWS, Google and Azure',
    repeatable: false,
    parse: optional(parseFilePath),
  },
  externalLabels: {
    name: 'label',
    placeholder: '<name="value">',
    description: 'External label of everything stored here, as in Thanos; may be given more than once.',
    defaults: [],
    repeatable: true,
    parse: parseExternalLabels,
  },
  memoryBudgetBytes: {
    name: 'head.memory-budget',
    placeholder: '<size>',
    description: 'Memory for series and samples that are not in blocks yet. When it is full, writes get 503.',
    defaults: [],
    defaultNote: 'half of the memory of the container or machine, at most 3.75GiB',
    repeatable: false,
    parse: optional(parseMemoryBudget),
  },
  walSync: {
    name: 'wal.sync',
    placeholder: '<commit|interval>',
    description:
      'When the log is synced: before each answer, or at intervals. With interval a power cut loses what was answered since the last sync.',
    defaults: ['commit'],
    repeatable: false,
    parse: one((text) => choose(text, WAL_SYNC_MODES)),
  },
  walSyncIntervalMs: {
    name: 'wal.sync-interval',
    placeholder: '<duration>',
    description: 'With --wal.sync=interval: the longest time between an answer and its sync.',
    defaults: ['1s'],
    repeatable: false,
    parse: one(parsePositiveDuration),
  },
  walShipIntervalMs: {
    name: 'wal.ship-interval',
    placeholder: '<duration>',
    description:
      'How often new parts of the log go to the bucket: what the loss of the machine costs at most. 0: never. None goes to a directory below --storage.path.',
    defaults: ['10s'],
    repeatable: false,
    parse: one(parseDuration),
  },
  walAck: {
    name: 'wal.ack',
    placeholder: '<local|bucket>',
    description:
      'What an answer to a write waits for: the log on this disk, or in the bucket too; then nothing is lost with the machine.',
    defaults: ['local'],
    repeatable: false,
    parse: one((text) => choose(text, WAL_ACKS)),
  },
  walAckIntervalMs: {
    name: 'wal.ack-interval',
    placeholder: '<duration>',
    description: 'With --wal.ack=bucket: how often new parts of the log go to the bucket.',
    defaults: ['250ms'],
    repeatable: false,
    parse: one(parsePositiveDuration),
  },
  restore: {
    name: 'restore',
    placeholder: '',
    description:
      'If the data directory is empty, restore it from the bucket first; see varve restore. With an empty bucket, start empty.',
    defaults: ['false'],
    repeatable: false,
    parse: one(parseSwitch),
  },
  restoreInstance: {
    name: 'restore.instance',
    placeholder: '<ULID>',
    description: 'With --restore: the instance, if several have shipped to the bucket.',
    defaults: [],
    repeatable: false,
    parse: optional(parseUlid),
  },
  minFreeBytes: {
    name: 'storage.min-free-space',
    placeholder: '<size>',
    description:
      'Below so much free space writes get 503: the rest is for blocks and checkpoints, which give some back.',
    defaults: [],
    defaultNote: 'half of what the head takes, at least 64MiB',
    repeatable: false,
    parse: optional(parseSize),
  },
  localBlocksBytes: {
    name: 'storage.local-blocks',
    placeholder: '<size>',
    description: 'Uploaded blocks that stay on the disk as well, so that queries need not fetch them; the newest data.',
    defaults: ['10GiB'],
    repeatable: false,
    parse: one(parseSize),
  },
  syncIntervalMs: {
    name: 'sync-block-duration',
    placeholder: '<duration>',
    description: 'How often the bucket is listed for blocks of others.',
    defaults: ['15m'],
    repeatable: false,
    parse: one(parsePositiveDuration),
  },
  consistencyDelayMs: {
    name: 'consistency-delay',
    placeholder: '<duration>',
    description: 'Blocks of others are read when they are this old; those of compactors at once.',
    defaults: ['0s'],
    repeatable: false,
    parse: one(parseDuration),
  },
  ignoreDeletionMarksDelayMs: {
    name: 'ignore-deletion-marks-delay',
    placeholder: '<duration>',
    description: 'Blocks that are marked for deletion are read for this long.',
    defaults: ['24h'],
    repeatable: false,
    parse: one(parseDuration),
  },
  minTime: {
    name: 'min-time',
    placeholder: '<time>',
    description: 'Blocks that end before are not read: RFC 3339, or a duration relative to now such as -2w.',
    defaults: [],
    repeatable: false,
    parse: optional(parseTimeLimit),
  },
  maxTime: {
    name: 'max-time',
    placeholder: '<time>',
    description: 'Blocks that begin after it are not read: RFC 3339, or a duration relative to now such as -2h.',
    defaults: [],
    repeatable: false,
    parse: optional(parseTimeLimit),
  },
  idleCutMs: {
    name: 'head.idle-cut',
    placeholder: '<duration>',
    description: 'A tenant that has been silent for this long is written to blocks whole.',
    defaults: ['3h'],
    repeatable: false,
    parse: one(parsePositiveDuration),
  },
  outOfOrderMs: {
    name: 'tsdb.out-of-order.time-window',
    placeholder: '<duration>',
    description:
      "Samples older than the tenant's newest one by more than this wait for the next regular cut. None is refused.",
    defaults: ['24h'],
    repeatable: false,
    parse: one(parseDuration),
  },
  futureMs: {
    name: 'tsdb.too-far-in-future.time-window',
    placeholder: '<duration>',
    description: 'Samples later than now by more than this are refused.',
    defaults: ['10m'],
    repeatable: false,
    parse: one(parseFutureWindow),
  },
  maxOpenWindows: {
    name: 'receive.max-open-windows',
    placeholder: '<count>',
    description:
      'Windows of 2h of which a tenant may have samples that are not in blocks yet; those of others get 400.',
    defaults: ['128'],
    repeatable: false,
    parse: one((text) => parseCount(text, FEWEST_OPEN_WINDOWS, MOST_OPEN_WINDOWS)),
  },
  defaultTenantId: {
    name: 'receive.default-tenant-id',
    placeholder: '<tenant>',
    description: 'Tenant of requests that name none.',
    defaults: ['default-tenant'],
    repeatable: false,
    parse: one(parseTenantId),
  },
  requireTenant: {
    name: 'receive.require-tenant',
    placeholder: '',
    description: 'Answer 401 to requests that name no tenant, instead of giving them the default tenant.',
    defaults: ['false'],
    repeatable: false,
    parse: one(parseSwitch),
  },
  limitsConfigFile: {
    name: 'receive.limits-config-file',
    placeholder: '<file>',
    description: 'Limits of the tenants, in the format of Thanos, and further ones. Reloaded.',
    defaults: [],
    repeatable: false,
    parse: optional(parseFilePath),
  },
  tenantHeader: {
    name: 'receive.tenant-header',
    placeholder: '<header>',
    description: 'HTTP header that names the tenant; X-Scope-OrgID always does, too.',
    defaults: ['THANOS-TENANT'],
    repeatable: false,
    parse: one(parseHeaderName),
  },
  tenantLabelName: {
    name: 'receive.tenant-label-name',
    placeholder: '<label>',
    description: 'Label that names the tenant in the Thanos section of blocks.',
    defaults: ['tenant_id'],
    repeatable: false,
    parse: one(parseLabelName),
  },
  relabelConfigFile: {
    name: 'receive.relabel-config-file',
    placeholder: '<file>',
    description: 'Relabel configs, as Prometheus has them, for all series before they are stored. Reloaded.',
    defaults: [],
    repeatable: false,
    parse: optional(parseFilePath),
  },
  haReplicaLabel: {
    name: 'ha.replica-label',
    placeholder: '<label>',
    description: 'Label that tells replicas of an HA pair apart: one of them is stored, without the label.',
    defaults: [],
    repeatable: false,
    parse: optional(parseSentLabelName),
  },
  haClusterLabels: {
    name: 'ha.cluster-label',
    placeholder: '<label>',
    description: 'Label that replicas of an HA pair have in common; a list with commas, or given more than once.',
    defaults: [],
    repeatable: true,
    parse: parseClusterLabels,
  },
  partialResponse: {
    name: 'query.partial-response',
    placeholder: '<true|false>',
    description:
      'Answer without blocks that are damaged or cannot be reached, with a warning; a request may say partial_response=false.',
    defaults: ['true'],
    repeatable: false,
    parse: one(parseSwitch),
  },
  queryCacheMemoryBytes: {
    name: 'query.cache-memory',
    placeholder: '<size>',
    description: 'Memory, over all reader threads, for what was read of blocks in the bucket.',
    defaults: ['256MiB'],
    repeatable: false,
    parse: one(parseSize),
  },
  queryCacheDiskBytes: {
    name: 'query.cache-disk',
    placeholder: '<size>',
    description:
      'Space under --storage.path for what was read of blocks in the bucket; it grows only while the disk has room.',
    defaults: ['10GiB'],
    repeatable: false,
    parse: one(parseSize),
  },
  logLevel: {
    name: 'log.level',
    placeholder: `<${LOG_LEVELS.join('|')}>`,
    description: 'Least severe level that is logged.',
    defaults: ['info'],
    repeatable: false,
    parse: one((text) => choose(text, LOG_LEVELS)),
  },
  logFormat: {
    name: 'log.format',
    placeholder: `<${LOG_FORMATS.join('|')}>`,
    description: 'Format of the log lines on standard error.',
    defaults: ['logfmt'],
    repeatable: false,
    parse: one((text) => choose(text, LOG_FORMATS)),
  },
};

/** Every flag of `restore` under the name of its setting, in the order of --help. */
export const RESTORE_FLAGS: { readonly [Setting in keyof RestoreSettings]: Flag<RestoreSettings[Setting]> } = {
  storagePath: SERVE_FLAGS.storagePath,
  objstoreConfigFile: SERVE_FLAGS.objstoreConfigFile,
  objstoreConfig: SERVE_FLAGS.objstoreConfig,
  instance: {
    name: 'instance',
    placeholder: '<ULID>',
    description: 'The instance to restore, if several have shipped to the bucket.',
    defaults: [],
    repeatable: false,
    parse: optional(parseUlid),
  },
  epoch: {
    name: 'epoch',
    placeholder: '<number>',
    description: 'The epoch whose log is taken.',
    defaults: [],
    defaultNote: 'the newest that has one',
    repeatable: false,
    parse: optional((text) => parseCount(text, 1, MOST_EPOCHS)),
  },
  isDryRun: {
    name: 'dry-run',
    placeholder: '',
    description: 'Say what would be restored, and change nothing.',
    defaults: ['false'],
    repeatable: false,
    parse: one(parseSwitch),
  },
};

/** Where the texts of the flags come from. */
export interface FlagSources {
  /** What the command line gives for each flag name, in order. */
  readonly commandLine: ReadonlyMap<string, readonly string[]>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Memory of the machine or the limit of its container. */
  readonly memoryBytes: number;
}

/** The environment variable that stands for a flag: `storage.path` is `VARVE_STORAGE_PATH`. */
export function environmentName(flagName: string): string {
  return `VARVE_${flagName.toUpperCase().replaceAll(/[.-]/g, '_')}`;
}

/** The settings that flags, then environment, then defaults give. Throws FlagError for the first one that is wrong. */
export function serveSettings(sources: FlagSources): ServeSettings {
  const entries = Object.entries(SERVE_FLAGS).map(([setting, flag]) => [setting, flagValue<unknown>(flag, sources)]);
  const given = Object.fromEntries(entries) as GivenSettings;
  for (let i = 0; i < given.externalLabels.length; i += 2) {
    if (given.externalLabels[i] !== given.tenantLabelName) continue;
    throw new FlagError(
      `--label must not set ${given.tenantLabelName}: --receive.tenant-label-name keeps it for the tenant`,
    );
  }
  requireOneBucket(given);
  if ((given.haReplicaLabel === undefined) !== (given.haClusterLabels.length === 0)) {
    throw new FlagError('--ha.replica-label and --ha.cluster-label go together: one is given without the other');
  }
  if (given.haReplicaLabel !== undefined && given.haClusterLabels.includes(given.haReplicaLabel)) {
    throw new FlagError(`--ha.cluster-label must not be the replica label ${given.haReplicaLabel}`);
  }
  return Object.freeze({
    ...given,
    routePrefix: given.routePrefix ?? parseRoutePrefix(new URL(given.externalUrl ?? 'http://localhost/').pathname),
    memoryBudgetBytes: given.memoryBudgetBytes ?? defaultMemoryBudget(sources.memoryBytes),
  });
}

/** The settings of `varve restore`; see serveSettings. */
export function restoreSettings(sources: Omit<FlagSources, 'memoryBytes'>): RestoreSettings {
  const entries = Object.entries(RESTORE_FLAGS).map(([setting, flag]) => [setting, flagValue<unknown>(flag, sources)]);
  const given = Object.fromEntries(entries) as RestoreSettings;
  requireOneBucket(given);
  return Object.freeze(given);
}

function requireOneBucket(given: Pick<ServeSettings, 'objstoreConfig' | 'objstoreConfigFile'>): void {
  if (given.objstoreConfig !== undefined && given.objstoreConfigFile !== undefined) {
    throw new FlagError('--objstore.config and --objstore.config-file exclude each other: one is enough');
  }
}

/** One flag's value from the first source that has it. Throws FlagError. */
export function flagValue<Value>(flag: Flag<Value>, sources: Omit<FlagSources, 'memoryBytes'>): Value {
  const onCommandLine = sources.commandLine.get(flag.name);
  const variable = environmentName(flag.name);
  const inEnvironment = sources.environment[variable] || undefined; // A variable set to nothing is not set.
  const origin = onCommandLine === undefined && inEnvironment !== undefined ? ` (from ${variable})` : '';
  const texts = onCommandLine ?? (inEnvironment === undefined ? flag.defaults : listed(flag, inEnvironment));
  if (texts.length > 1 && !flag.repeatable) throw new FlagError(`--${flag.name} is given more than once`);
  try {
    return flag.parse(texts);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    const value = texts.map((text) => JSON.stringify(text)).join(', ');
    throw new FlagError(`invalid value ${value} for --${flag.name}${origin}: ${error.message}`, { cause: error });
  }
}

/** The values of a repeatable flag in one variable: separated by commas outside of double quotes. */
function listed(flag: Flag, text: string): readonly string[] {
  if (!flag.repeatable) return [text];
  return (text.match(/(?:"(?:\\.|[^"\\])*"|[^,])+/g) ?? []).map((part) => part.trim());
}

function one<Value>(parse: (text: string) => Value): (texts: readonly string[]) => Value {
  return ([text = '']) => parse(text);
}

function optional<Value>(parse: (text: string) => Value): (texts: readonly string[]) => Value | undefined {
  return ([text]) => (text === undefined ? undefined : parse(text));
}

function parseExternalUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new ValueError('want http(s)://host[:port][/path]');
  }
  if (url.username !== '' || url.password !== '') throw new ValueError('want a URL without a user or password');
  return url.href.replace(/\/+$/, '');
}

function parseRoutePrefix(text: string): string {
  const prefix = `/${text}`.replaceAll(/\/+/g, '/').replace(/\/$/, '');
  if (!/^(?:\/[A-Za-z0-9._~-]+)*$/.test(prefix)) throw new ValueError('want a path such as /varve');
  return prefix;
}

function parseSwitch(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new ValueError('want true or false');
  return text === 'true';
}

function parsePath(text: string): string {
  if (text === '' || text.includes('\0')) throw new ValueError('want a directory');
  return text;
}

function parseFilePath(text: string): string {
  if (text === '' || text.includes('\0')) throw new ValueError('want a file');
  return text;
}

/** A label that senders add: names with two underscores in front are usual for replicas. */
function parseSentLabelName(text: string): string {
  if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(text) || text === '__name__') {
    throw new ValueError('want a label name: letters, digits and _, no digit first, and not __name__');
  }
  return text;
}

function parseClusterLabels(texts: readonly string[]): readonly string[] {
  const names = texts.flatMap((text) => text.split(',')).map((text) => parseSentLabelName(text.trim()));
  return [...new Set(names)];
}

function parseMemoryBudget(text: string): number {
  const bytes = parseSize(text);
  if (bytes < SMALLEST_HEAD_BYTES || bytes > LARGEST_HEAD_BYTES) throw new ValueError('want 64MiB to 3.75GiB');
  return bytes;
}

function defaultMemoryBudget(memoryBytes: number): number {
  const share = Math.floor(memoryBytes * HEAD_MEMORY_SHARE);
  return Math.min(Math.max(share, SMALLEST_HEAD_BYTES), LARGEST_HEAD_BYTES);
}

function parsePositiveDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms === 0) throw new ValueError('want more than 0');
  return ms;
}

function parseFutureWindow(text: string): number {
  const ms = parseDuration(text);
  if (ms > YEAR_MS) throw new ValueError('want at most 1y');
  return ms;
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/** As Thanos's store takes them. */
function parseTimeLimit(text: string): TimeLimit {
  if (RFC_3339.test(text) && !Number.isNaN(Date.parse(text))) return { atMs: Date.parse(text) };
  const [, sign = '', duration = ''] = /^(-?)(\d.*)$/.exec(text) ?? [];
  try {
    return { agoMs: (sign === '-' ? 1 : -1) * parseDuration(duration) };
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new ValueError('want a time such as 2026-01-31T00:00:00Z, or a duration relative to now such as -2w');
  }
}

function parseCount(text: string, least: number, most: number): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(count >= least && count <= most)) throw new ValueError(`want ${least} to ${most}`);
  return count;
}

function parseUlid(text: string): string {
  if (!ULID.test(text)) throw new ValueError('want a ULID: 26 of 0-9 A-H J K M N P-T V-Z');
  return text;
}

function parseTenantId(text: string): string {
  if (!isTenantId(text)) {
    throw new ValueError(`want 1 to 150 of A-Z a-z 0-9 ! . _ * ' ( ) - and neither "." nor ".."`);
  }
  return text;
}

function parseHeaderName(text: string): string {
  if (!HEADER_NAME.test(text)) throw new ValueError('want the name of an HTTP header');
  return text;
}

function choose<Choice extends string>(text: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) throw new ValueError(`want one of ${choices.join(', ')}`);
  return choice;
}
