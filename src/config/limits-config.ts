/**
 * The file of `--receive.limits-config-file`: Thanos Receive's limits.yaml as it is, and limits of ours beside its own.
 *
 *   write:
 *     global: {max_concurrency: 30}
 *     default:
 *       request: {size_bytes_limit: …, series_limit: …, samples_limit: …}
 *       head_series_limit: 100000
 *       samples_per_second_limit: 50000                                      # from here on ours
 *       labels_limit: 128
 *       label_name_bytes_limit: 1024
 *       label_value_bytes_limit: 16384
 *       labels_bytes_limit: 65536
 *     tenants:
 *       acme: {head_series_limit: 0}
 *
 * As in Thanos 0 is no limit, and what a tenant does not say is as in `default`.
 * Source: thanos docs/components/receive.md, pkg/receive/limiter_config.go.
 */
import { defaultTenantLimits, type TenantLimits } from '../../storage/index.ts';
import { type ConfigNode, parseConfig } from './config-node.ts';

/** What a tenant may send and hold. */
export interface ConfiguredLimits extends TenantLimits {
  /** Of the body of a request, as it is sent and as it is unpacked to. 0: as the server has it. */
  readonly requestBytes: number;
}

export interface LimitsConfig {
  /** Write requests that are worked on at the same time; the others wait. 0: as many as come. */
  readonly maxConcurrency: number;
  readonly default: ConfiguredLimits;
  readonly tenants: ReadonlyMap<string, ConfiguredLimits>;
  /** What is accepted, but not what its author may think. */
  readonly warnings: readonly string[];
}

const UNLIMITED: ConfiguredLimits = { ...defaultTenantLimits, requestBytes: 0 };

/** Without a file: what the engine can do. */
export const NO_LIMITS_CONFIG: LimitsConfig = {
  maxConcurrency: 0,
  default: UNLIMITED,
  tenants: new Map(),
  warnings: [],
};

/** The limits of a tenant. */
export function limitsOf(config: LimitsConfig, tenant: string): ConfiguredLimits {
  return config.tenants.get(tenant) ?? config.default;
}

/** Reads the text of the file at `path`. Throws ConfigError. */
export function parseLimitsConfig(text: string, path: string): LimitsConfig {
  const { write } = parseConfig(text, path).fields('write');
  const sections = write?.fields('global', 'default', 'tenants') ?? {};
  const warnings: string[] = [];
  const forAll = sections.default === undefined ? UNLIMITED : parseTenant(sections.default, UNLIMITED);
  const tenants = new Map<string, ConfiguredLimits>();
  for (const [tenant, node] of sections.tenants?.entries() ?? [])
    tenants.set(tenant, node === undefined ? forAll : parseTenant(node, forAll));
  const maxConcurrency = sections.global === undefined ? 0 : parseGlobal(sections.global, warnings);
  return { maxConcurrency, default: forAll, tenants, warnings };
}

function parseGlobal(node: ConfigNode, warnings: string[]): number {
  const { max_concurrency, ...metaMonitoring } = node.fields(
    'max_concurrency',
    'meta_monitoring_url',
    'meta_monitoring_http_client',
    'meta_monitoring_limit_query',
  );
  for (const key of Object.values(metaMonitoring))
    warnings.push(`${key.position}: ${key.name} has no effect: Varve counts the series of its head itself`);
  return count(max_concurrency, 0);
}

function parseTenant(node: ConfigNode, inherited: ConfiguredLimits): ConfiguredLimits {
  const given = node.fields(
    'request',
    'head_series_limit',
    'samples_per_second_limit',
    'labels_limit',
    'label_name_bytes_limit',
    'label_value_bytes_limit',
    'labels_bytes_limit',
  );
  const request = given.request?.fields('size_bytes_limit', 'series_limit', 'samples_limit') ?? {};
  return {
    requestBytes: count(request.size_bytes_limit, inherited.requestBytes),
    requestSeries: count(request.series_limit, inherited.requestSeries),
    requestSamples: count(request.samples_limit, inherited.requestSamples),
    samplesPerSecond: count(given.samples_per_second_limit, inherited.samplesPerSecond),
    headSeries: count(given.head_series_limit, inherited.headSeries),
    labels: bounded(given.labels_limit, inherited.labels, defaultTenantLimits.labels),
    labelNameBytes: bounded(given.label_name_bytes_limit, inherited.labelNameBytes, defaultTenantLimits.labelNameBytes),
    labelValueBytes: bounded(
      given.label_value_bytes_limit,
      inherited.labelValueBytes,
      defaultTenantLimits.labelValueBytes,
    ),
    labelsBytes: bounded(given.labels_bytes_limit, inherited.labelsBytes, defaultTenantLimits.labelsBytes),
  };
}

function count(node: ConfigNode | undefined, inherited: number): number {
  if (node === undefined) return inherited;
  const value = node.integer();
  return value < 0 ? node.fail(`${node.name}: want 0 (no limit) or more`) : value;
}

/** A limit that may only be below what the engine can do; 0 is that. */
function bounded(node: ConfigNode | undefined, inherited: number, most: number): number {
  const value = count(node, inherited);
  if (value > most)
    return node?.fail(`${node.name}: want at most ${most}, which is as much as the engine takes`) ?? most;
  return value === 0 ? most : value;
}
