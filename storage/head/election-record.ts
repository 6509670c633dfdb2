/**
 * The WAL record of an election: 9 | JSON, UTF-8. Of a cluster's records the last one counts; a checkpoint has one for
 * each cluster. See docs/formats/wal.md.
 */
import * as L from '../kernel/layout.ts';
import type { Labels } from '../model/labels.ts';

/** Which replica of a cluster is elected. */
export interface Election {
  readonly tenant: string;
  readonly cluster: Labels;
  readonly replica: string;
  /** Since when, on the wall clock. */
  readonly sinceMs: number;
  /** How often it sent, as far as that was known. */
  readonly intervalMs: number;
}

export function electionRecord(election: Election): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(election));
  const record = new Uint8Array(1 + text.length);
  record[0] = L.RECORD_ELECTION;
  record.set(text, 1);
  return record;
}

/** The election in a record; undefined if it makes no sense. */
export function readElection(record: Uint8Array): Election | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(record.subarray(1)));
    return isElection(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isElection(value: unknown): value is Election {
  if (typeof value !== 'object' || value === null) return false;
  const { tenant, cluster, replica, sinceMs, intervalMs } = value as Record<string, unknown>;
  const isText = [tenant, replica].every((field) => typeof field === 'string');
  const isNumber = [sinceMs, intervalMs].every((field) => Number.isFinite(field));
  const isLabels = Array.isArray(cluster) && cluster.length > 0 && cluster.length % 2 === 0;
  return isText && isNumber && isLabels && cluster.every((part) => typeof part === 'string');
}
