/** What a tenant may send and hold. */
import type { SeriesLimits } from '../kernel/kernel.ts';
import * as L from '../kernel/layout.ts';
import { LimitError } from '../lib/errors.ts';

/** 0 is no limit, unless the field says otherwise. */
export interface TenantLimits extends SeriesLimits {
  readonly requestSeries: number;
  readonly requestSamples: number;
  readonly samplesPerSecond: number;
}

/** What holds where nothing else was said: what the engine can do. */
export const defaultTenantLimits: TenantLimits = {
  requestSeries: 0,
  requestSamples: 0,
  samplesPerSecond: 0,
  headSeries: 0,
  labels: L.MAX_LABELS,
  labelNameBytes: L.MAX_NAME_BYTES,
  labelValueBytes: L.MAX_VALUE_BYTES,
  labelsBytes: L.MAX_SERIES_BYTES,
};

/** Where the limits are set, and under which names, for those who meet them. */
export function limitName(key: string): string {
  return `${key} in --receive.limits-config-file`;
}

/** What a request that was read brings. */
export interface RequestSize {
  readonly series: number;
  readonly samples: number;
}

/** Throws LimitError if a request alone is more than its tenant may send. */
export function checkRequest({ series, samples }: RequestSize, limits: TenantLimits): void {
  const check = (actual: number, limit: number, unit: string, key: string): void => {
    if (limit === 0 || actual <= limit) return;
    const message = `a request of ${actual} ${unit}, limit ${limit} (${limitName(key)})`;
    throw new LimitError('limit', message, { reason: `request-${unit}`, samples });
  };
  check(series, limits.requestSeries, 'series', 'series_limit');
  check(samples, limits.requestSamples, 'samples', 'samples_limit');
}
