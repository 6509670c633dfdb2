/**
 * How far senders say that they are behind: a Prometheus counts in prometheus_remote_storage_* what it has and what it
 * has sent, and where it ships its own metrics, too, both are here.
 */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { compressSync, uncompressSync } from 'snappy';
import type { ReaderPool } from '../read/reader-pool.ts';

/** One queue of a sender: it has one for each place that it writes to. */
export interface QueueLag {
  /** Of the series, without its name: `instance`, `url`, `remote_name`, and what the sender adds. */
  readonly labels: Readonly<Record<string, string>>;
  /** Data time of the newest sample that the sender has, less that of the newest one that the queue has sent. */
  readonly lagSeconds: number;
}

const HIGHEST = 'prometheus_remote_storage_highest_timestamp_in_seconds';
const SENT = 'prometheus_remote_storage_queue_highest_sent_timestamp_seconds';
/** Labels of a queue that the sender as a whole does not have. */
const QUEUE_LABELS: ReadonlySet<string> = new Set(['remote_name', 'url']);
/** Older figures say nothing about now. */
const LOOK_BACK_MS = 300_000;
const MATCHES = 2; // LabelMatcher.Type RE

const root = protobuf.loadSync(fileURLToPath(new URL('../../proto/remote.proto', import.meta.url)));
const ReadRequest = root.lookupType('prometheus.ReadRequest');
const ReadResponse = root.lookupType('prometheus.ReadResponse');

interface NewestValue {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The queues of all senders of a tenant that ship their own metrics. Rejects as a read does. */
export async function queueLags(readers: ReaderPool, tenant: string, nowMs: number): Promise<QueueLag[]> {
  const newest = await newestValues(readers, tenant, nowMs);
  const highest = new Map(newest.filter(named(HIGHEST)).map(({ labels, value }) => [keyOf(labels), value]));
  return newest.filter(named(SENT)).flatMap(({ labels, value }) => {
    const { __name__: _, ...rest } = labels;
    const has = highest.get(keyOf(labels));
    return has === undefined
      ? []
      : [{ labels: rest, lagSeconds: Math.max(0, Math.round((has - value) * 1000) / 1000) }];
  });
}

async function newestValues(readers: ReaderPool, tenant: string, nowMs: number): Promise<NewestValue[]> {
  const query = {
    startTimestampMs: nowMs - LOOK_BACK_MS,
    endTimestampMs: nowMs,
    matchers: [{ type: MATCHES, name: '__name__', value: `${HIGHEST}|${SENT}` }],
  };
  const request = compressSync(ReadRequest.encode(ReadRequest.fromObject({ queries: [query] })).finish() as Buffer);
  const answer = await readers.run(tenant, { kind: 'remote-read', body: request });
  const pieces: Uint8Array[] = [];
  for await (const piece of answer.body) pieces.push(piece);
  const response = ReadResponse.decode(uncompressSync(Buffer.concat(pieces)) as Buffer) as unknown as {
    results: { timeseries: { labels: { name: string; value: string }[]; samples: { value: number }[] }[] }[];
  };
  return response.results.flatMap(({ timeseries }) =>
    timeseries.flatMap(({ labels, samples }) => {
      const newest = samples.at(-1);
      if (newest === undefined) return [];
      return [{ labels: Object.fromEntries(labels.map(({ name, value }) => [name, value])), value: newest.value }];
    }),
  );
}

function named(name: string): (series: NewestValue) => boolean {
  return ({ labels }) => labels.__name__ === name;
}

/** Which sender the series is of. */
function keyOf(labels: NewestValue['labels']): string {
  const own = Object.entries(labels).filter(([name]) => name !== '__name__' && !QUEUE_LABELS.has(name));
  return JSON.stringify(own.sort(([a], [b]) => (a < b ? -1 : 1)));
}
