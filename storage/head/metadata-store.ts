/**
 * What senders say of metric families, for each tenant: kept in memory, in the log and in checkpoints. A family may have
 * several descriptions, since senders of different versions differ. Bounded: what is beyond is not kept, and counted.
 */
import type { ToldMetadata } from '../kernel/kernel.ts';
import * as L from '../kernel/layout.ts';
import type { MetricMetadata } from '../model/extras.ts';

/** By the number that remote write gives them; the names are those of Prometheus's API. */
const TYPES = ['unknown', 'counter', 'gauge', 'histogram', 'gaugehistogram', 'summary', 'info', 'stateset'];

/** Descriptions of a family; a further one takes the place of the oldest. */
const MAX_DESCRIPTIONS = 8;
const MAX_NAME_CHARACTERS = 1024;
const MAX_HELP_CHARACTERS = 16_384;
const MAX_TENANT_CHARACTERS = 8 * 1024 * 1024;
const MAX_CHARACTERS = 64 * 1024 * 1024;
/** A record is closed when it has grown beyond this. */
const RECORD_CHARACTERS = 256 * 1024;

/** Series of a histogram or summary carry the description of the family that their names begin with. */
const SUFFIXES: Readonly<Record<string, RegExp>> = {
  histogram: /_(?:bucket|count|sum)$/,
  gaugehistogram: /_(?:bucket|gcount|gsum)$/,
  summary: /_(?:count|sum)$/,
};

/** Of one tenant: by family, the newest description first. */
interface Families {
  readonly byName: Map<string, MetricMetadata[]>;
  characters: number;
}

export class MetadataStore {
  readonly #tenants = new Map<string, Families>();
  #characters = 0;
  /** Descriptions that were not kept, since the start. */
  dropped = 0;

  /** Keeps what a request said; returns the records for the log of what is new. Those of 2.0 speak of series. */
  add(tenant: string, told: readonly ToldMetadata[], isOfSeries: boolean): Uint8Array[] {
    const fresh: MetricMetadata[] = [];
    for (const one of told) {
      const metadata = decode(one, isOfSeries);
      if (metadata === undefined) this.dropped++;
      else if (this.#keep(tenant, metadata)) fresh.push(metadata);
    }
    return records(tenant, fresh);
  }

  /** Takes a record out of the log; false if it makes no sense. */
  restore(record: Uint8Array): boolean {
    try {
      const { tenant, metadata } = JSON.parse(new TextDecoder().decode(record.subarray(1))) as LoggedMetadata;
      if (typeof tenant !== 'string' || !metadata.every(isMetadata)) return false;
      for (const one of metadata) this.#keep(tenant, one);
      return true;
    } catch {
      return false;
    }
  }

  /** All that there is, for a checkpoint. Restored in this order, the newest is first again. */
  records(): Uint8Array[] {
    return [...this.#tenants.keys()].flatMap((tenant) => records(tenant, this.of(tenant).toReversed()));
  }

  /** The descriptions of a tenant's families, the newest of a family first. */
  families(tenant: string): ReadonlyMap<string, readonly MetricMetadata[]> {
    return this.#tenants.get(tenant)?.byName ?? new Map<string, readonly MetricMetadata[]>();
  }

  /** The same in one list. */
  of(tenant: string): MetricMetadata[] {
    return [...this.families(tenant).values()].flat();
  }

  /** Whether it is new. */
  #keep(tenant: string, metadata: MetricMetadata): boolean {
    const families = this.#tenants.get(tenant) ?? { byName: new Map<string, MetricMetadata[]>(), characters: 0 };
    const known = families.byName.get(metadata.family) ?? [];
    if (known.some((other) => isSame(other, metadata))) return false;
    const gone = known.length === MAX_DESCRIPTIONS ? (known.pop() as MetricMetadata) : undefined;
    const grown = charactersOf(metadata) - (gone === undefined ? 0 : charactersOf(gone));
    if (families.characters + grown > MAX_TENANT_CHARACTERS || this.#characters + grown > MAX_CHARACTERS) {
      if (gone !== undefined) known.push(gone);
      this.dropped++;
      return false;
    }
    known.unshift(metadata);
    families.byName.set(metadata.family, known);
    families.characters += grown;
    this.#characters += grown;
    this.#tenants.set(tenant, families);
    return true;
  }
}

interface LoggedMetadata {
  readonly tenant: string;
  readonly metadata: readonly MetricMetadata[];
}

function records(tenant: string, all: readonly MetricMetadata[]): Uint8Array[] {
  const payloads: Uint8Array[] = [];
  for (let from = 0; from < all.length; ) {
    let to = from;
    for (let characters = 0; to < all.length && characters < RECORD_CHARACTERS; to++)
      characters += charactersOf(all[to] as MetricMetadata);
    const logged: LoggedMetadata = { tenant, metadata: all.slice(from, to) };
    payloads.push(Buffer.concat([Buffer.of(L.RECORD_METADATA), Buffer.from(JSON.stringify(logged))]));
    from = to;
  }
  return payloads;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** undefined if it has no name, is not UTF-8, or too long. */
function decode({ name, type, help, unit }: ToldMetadata, isOfSeries: boolean): MetricMetadata | undefined {
  try {
    // Copies: a decoder takes no bytes of a shared memory.
    const [series, helpText, unitText] = [name, help, unit].map((bytes) => utf8.decode(bytes.slice())) as [
      string,
      string,
      string,
    ];
    const typeName = TYPES[type] ?? 'unknown';
    const suffix = SUFFIXES[typeName];
    const family = isOfSeries && suffix !== undefined ? series.replace(suffix, '') : series;
    if (family === '' || family.length > MAX_NAME_CHARACTERS || unitText.length > MAX_NAME_CHARACTERS) return undefined;
    return helpText.length > MAX_HELP_CHARACTERS
      ? undefined
      : { family, type: typeName, help: helpText, unit: unitText };
  } catch {
    return undefined;
  }
}

function isSame(a: MetricMetadata, b: MetricMetadata): boolean {
  return a.type === b.type && a.help === b.help && a.unit === b.unit;
}

function isMetadata(value: MetricMetadata): boolean {
  return [value.family, value.type, value.help, value.unit].every((text) => typeof text === 'string');
}

/** A family costs something even if nothing is said of it. */
function charactersOf({ family, type, help, unit }: MetricMetadata): number {
  return 64 + family.length + type.length + help.length + unit.length;
}
