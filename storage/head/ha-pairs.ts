/**
 * High-availability pairs: several Prometheus servers with the same targets, told apart by one label. Of each cluster one
 * replica is elected, whose samples are stored; when it is silent for longer than it usually is, another one that sends
 * takes its place. A cluster is what the cluster labels of a tenant's series say together.
 */
import type { Clock } from '../io/clock.ts';
import * as L from '../kernel/layout.ts';
import type { SharedMemory } from '../kernel/shared-memory.ts';
import type { Labels } from '../model/labels.ts';
import { type Election, electionRecord } from './election-record.ts';
import { ObservedInterval } from './observed-interval.ts';

/** The labels by which a series says that it comes from one of several equal senders. */
export interface HaLabels {
  readonly replica: string;
  /** A series has at least one of them. */
  readonly clusters: readonly string[];
}

/** One of the senders of a cluster. */
export interface Replica {
  readonly name: string;
  readonly cluster: Cluster;
  /** In the kernel. */
  readonly address: number;
  readonly interval: ObservedInterval;
  /** On the monotonic clock, and on the wall. */
  seenAtMs: number;
  seenMs: number;
  /** Series of the last round that it sent as a loser, and that are not there. */
  missing: number;
}

interface Cluster {
  readonly tenant: string;
  /** Names and values of the cluster labels that the series have. */
  readonly labels: Labels;
  readonly replicas: Map<string, Replica>;
  /** The name of the elected replica; it may not have sent since the start. */
  elected: string;
  /** Since when, on the wall clock. */
  sinceMs: number;
  /** When the elected replica was last heard of, on the monotonic clock, and its interval, while it has not sent. */
  readonly restoredAtMs: number;
  readonly restoredIntervalMs: number;
  /** Whether it was said that a loser has more series than the leader. */
  isWarned: boolean;
}

/** A replica that took another one's place. */
export interface Switch {
  readonly replica: Replica;
  /** What was received before this time, on the wall clock, is of no use to fill the gap. */
  readonly neededFromMs: number;
}

/** A cluster as people see it. Times are on the wall clock. */
export interface HaClusterStatus {
  readonly tenant: string;
  readonly labels: Labels;
  readonly elected: string;
  readonly sinceMs: number;
  readonly replicas: readonly {
    readonly name: string;
    readonly seenMs: number;
    readonly intervalMs: number;
    readonly missingSeries: number;
  }[];
}

export type HaEvent =
  | {
      readonly kind: 'ha-elected';
      readonly tenant: string;
      readonly cluster: string;
      readonly replica: string;
      readonly previous: string;
    }
  | {
      readonly kind: 'ha-missing-series';
      readonly tenant: string;
      readonly cluster: string;
      readonly replica: string;
      readonly series: number;
    };

export interface HaParts {
  readonly memory: SharedMemory;
  readonly makeReplica: () => number;
  readonly clock: Clock;
  readonly onEvent: (event: HaEvent) => void;
}

/** A replica that is silent is replaced after this time, or after so many of its intervals if that is longer. */
const SILENT_MS = 30_000;
const SILENT_INTERVALS = 3;
/** Clocks of senders may differ by so much. */
const CLOCK_SKEW_MS = 60_000;
/** Who invents replicas must not fill the memory: series of further ones are stored as they come. */
const MAX_REPLICAS = 10_000;

export class HaPairs {
  readonly #labels: HaLabels;
  readonly #parts: HaParts;
  readonly #clusters = new Map<string, Cluster>();
  readonly #byAddress = new Map<number, Replica>();
  /** Elections that the log does not have yet. */
  #unlogged: Election[] = [];
  /** How many replicas of the request at work were seen already. */
  #seen = 0;
  /** How often a replica took another one's place. */
  switches = 0;

  constructor(labels: HaLabels, parts: HaParts) {
    this.#labels = labels;
    this.#parts = parts;
  }

  /** An election that the log has. Of a cluster's the last one counts. */
  restore({ tenant, cluster, replica, sinceMs, intervalMs }: Election): void {
    this.#clusters.set(keyOf(tenant, cluster), this.#cluster({ tenant, cluster, replica, sinceMs, intervalMs }));
  }

  #cluster({ tenant, cluster, replica, sinceMs, intervalMs }: Election): Cluster {
    return {
      tenant,
      labels: cluster,
      replicas: new Map(),
      elected: replica,
      sinceMs,
      restoredAtMs: this.#parts.clock.monotonicMs(),
      restoredIntervalMs: intervalMs,
      isWarned: false,
    };
  }

  /** A series of a tenant without its replica label, and who sends it; undefined if it does not come from a pair. */
  admit(tenant: string, labels: Labels): { labels: Labels; replica: number } | undefined {
    const name = labelValue(labels, this.#labels.replica);
    const cluster = this.#labels.clusters.flatMap((label) => {
      const value = labelValue(labels, label);
      return value === undefined ? [] : [label, value];
    });
    if (name === undefined || cluster.length === 0) return undefined;
    const replica = this.#replica(tenant, cluster, name);
    if (replica === undefined) return undefined;
    return { labels: without(labels, this.#labels.replica), replica: replica.address };
  }

  #replica(tenant: string, labels: Labels, name: string): Replica | undefined {
    const key = keyOf(tenant, labels);
    const known = this.#clusters.get(key);
    const replica = known?.replicas.get(name);
    if (replica !== undefined) return replica;
    if (this.#byAddress.size === MAX_REPLICAS) return undefined;
    const { clock, makeReplica, memory } = this.#parts;
    const cluster =
      known ?? this.#cluster({ tenant, cluster: labels, replica: '', sinceMs: clock.nowMs(), intervalMs: 0 });
    const made: Replica = {
      name,
      cluster,
      address: makeReplica(),
      interval: new ObservedInterval(),
      seenAtMs: clock.monotonicMs(),
      seenMs: clock.nowMs(),
      missing: 0,
    };
    this.#clusters.set(key, cluster);
    cluster.replicas.set(name, made);
    this.#byAddress.set(made.address, made);
    if (cluster.elected === '') this.#elect(made);
    else if (cluster.elected === name) memory.setWord(made.address + L.REPLICA_ELECTED, 1);
    return made;
  }

  /** Begins a request that these replicas sent, as far as is known: those that took another one's place with it. */
  beginRequest(addresses: readonly number[]): Switch[] {
    this.#seen = addresses.length;
    return this.#see(this.#replicasAt(addresses));
  }

  /** Ends it, of which now all senders are known: those of the rest that took another one's place, and those that lost. */
  endRequest(addresses: readonly number[]): { switches: Switch[]; losers: Replica[] } {
    const replicas = this.#replicasAt(addresses);
    const losers = replicas.filter(({ cluster, name }) => cluster.elected !== name);
    return { switches: this.#see(replicas.slice(this.#seen)), losers };
  }

  #replicasAt(addresses: readonly number[]): Replica[] {
    return addresses.flatMap((address) => this.#byAddress.get(address) ?? []);
  }

  #see(replicas: readonly Replica[]): Switch[] {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const switches: Switch[] = [];
    for (const replica of replicas) {
      replica.interval.note(nowMs - replica.seenAtMs);
      replica.seenAtMs = nowMs;
      replica.seenMs = clock.nowMs();
      if (replica.cluster.elected === replica.name || !this.#isLeaderSilent(replica.cluster, nowMs)) continue;
      switches.push({ replica, neededFromMs: this.neededFromMs(replica) });
      this.switches++;
      this.#elect(replica);
    }
    return switches;
  }

  #isLeaderSilent({ replicas, elected, restoredAtMs, restoredIntervalMs }: Cluster, nowMs: number): boolean {
    const leader = replicas.get(elected);
    const intervalMs = leader?.interval.ms ?? restoredIntervalMs;
    return nowMs - (leader?.seenAtMs ?? restoredAtMs) > Math.max(SILENT_MS, SILENT_INTERVALS * intervalMs);
  }

  #elect(replica: Replica): void {
    const { clock, memory, onEvent } = this.#parts;
    const { cluster } = replica;
    const previous = cluster.elected;
    const leader = cluster.replicas.get(previous);
    if (leader !== undefined) memory.setWord(leader.address + L.REPLICA_ELECTED, 0);
    memory.setWord(replica.address + L.REPLICA_ELECTED, 1);
    cluster.elected = replica.name;
    cluster.sinceMs = clock.nowMs();
    this.#unlogged.push(electionOf(cluster));
    onEvent({
      kind: 'ha-elected',
      tenant: cluster.tenant,
      cluster: textOf(cluster.labels),
      replica: replica.name,
      previous,
    });
  }

  /** What a loser sent before this time, on the wall clock, the elected replica has sent, too. */
  neededFromMs({ cluster }: Replica): number {
    const leader = cluster.replicas.get(cluster.elected);
    if (leader === undefined) return Number.NEGATIVE_INFINITY;
    const newestMs = Number(BigInt.asIntN(64, this.#parts.memory.long(leader.address + L.REPLICA_NEWEST)));
    return Math.min(newestMs, leader.seenMs) - CLOCK_SKEW_MS;
  }

  /** Whether there are elections that the log does not have. */
  get hasRecords(): boolean {
    return this.#unlogged.length > 0;
  }

  /** Records of elections for the log, which are then not given again. */
  takeRecords(): Uint8Array[] {
    const records = this.#unlogged.map(electionRecord);
    this.#unlogged = [];
    return records;
  }

  /** Records of all elections, for a checkpoint. */
  allRecords(): Uint8Array[] {
    return [...this.#clusters.values()].map((cluster) => electionRecord(electionOf(cluster)));
  }

  /** Ends a round: counts the series that losers sent and that are not there, and says so once if a cluster has some. */
  endRound(): void {
    const { memory, onEvent } = this.#parts;
    memory.setWord(L.HA_ROUND, memory.word(L.HA_ROUND) + 1);
    for (const cluster of this.#clusters.values()) {
      let isMissing = false;
      for (const replica of cluster.replicas.values()) {
        replica.missing = memory.word(replica.address + L.REPLICA_MISSING);
        memory.setWord(replica.address + L.REPLICA_MISSING, 0);
        if (replica.missing === 0) continue;
        isMissing = true;
        if (cluster.isWarned) continue;
        const { tenant, labels } = cluster;
        const { name, missing } = replica;
        onEvent({ kind: 'ha-missing-series', tenant, cluster: textOf(labels), replica: name, series: missing });
      }
      cluster.isWarned = isMissing;
    }
  }

  /** Series of the last round that losers sent and that are not there. */
  get missingSeries(): number {
    return [...this.#byAddress.values()].reduce((sum, { missing }) => sum + missing, 0);
  }

  get clusterCount(): number {
    return this.#clusters.size;
  }

  status(): HaClusterStatus[] {
    return [...this.#clusters.values()].map(({ tenant, labels, elected, sinceMs, replicas }) => ({
      tenant,
      labels,
      elected,
      sinceMs,
      replicas: [...replicas.values()].map(({ name, seenMs, interval, missing }) => ({
        name,
        seenMs,
        intervalMs: interval.ms,
        missingSeries: missing,
      })),
    }));
  }
}

function electionOf({ tenant, labels, elected, sinceMs, replicas, restoredIntervalMs }: Cluster): Election {
  const intervalMs = replicas.get(elected)?.interval.ms ?? restoredIntervalMs;
  return { tenant, cluster: labels, replica: elected, sinceMs, intervalMs };
}

function keyOf(tenant: string, cluster: Labels): string {
  return JSON.stringify([tenant, ...cluster]);
}

function textOf(labels: Labels): string {
  const pairs = Array.from(
    { length: labels.length / 2 },
    (_, i) => `${labels[2 * i]}=${JSON.stringify(labels[2 * i + 1])}`,
  );
  return `{${pairs.join(', ')}}`;
}

function labelValue(labels: Labels, name: string): string | undefined {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1];
  return undefined;
}

function without(labels: Labels, name: string): Labels {
  return labels.filter((_, i) => labels[i - (i % 2)] !== name);
}
