/** A database on a simulated machine, with what it reports, for tests of one behaviour. */
import { Database, type DatabaseEvent, type DatabaseOptions, type WriteOutcome } from '../../storage/index.ts';
import { openReader, type Reader } from '../../storage/select/reader.ts';
import { ALWAYS, answerOf } from './database-answers.ts';
import { writeRequest } from './remote-write.ts';
import { bitsOf, type LabelPairs, labelText, type SeriesMap } from './series.ts';
import type { SimMachine } from './sim-machine.ts';

export type PlainSample = readonly [timestampMs: number, value: number | bigint];

export class OpenedDatabase {
  readonly database: Database;
  readonly machine: SimMachine;
  readonly events: readonly DatabaseEvent[];
  #reader: Reader | undefined;

  private constructor(database: Database, machine: SimMachine, events: readonly DatabaseEvent[]) {
    this.database = database;
    this.machine = machine;
    this.events = events;
  }

  static async open(machine: SimMachine, options: Partial<DatabaseOptions> = {}): Promise<OpenedDatabase> {
    const events: DatabaseEvent[] = [];
    const database = await Database.open({
      directory: '/data',
      memoryBudgetBytes: 64 * 1024 * 1024,
      externalLabels: [],
      tenantLabelName: 'tenant_id',
      defaultTenant: 'default-tenant',
      idleCutMs: 10_800_000,
      walSegmentBytes: 4096,
      ...machine,
      onEvent: (event) => void events.push(event),
      ...options,
    });
    return new OpenedDatabase(database, machine, events);
  }

  /** How often something was reported. */
  count(kind: DatabaseEvent['kind']): number {
    return this.events.filter((event) => event.kind === kind).length;
  }

  /** Writes samples of the series `m{i="…"}`. */
  write(tenant: string, samples: readonly PlainSample[], i: number | string = 0): Promise<WriteOutcome> {
    return this.database.write(tenant, writeRequest([{ labels: labelsOf(i), samples }]));
  }

  /** All that a query of a tenant finds now. */
  async answer(tenant: string): Promise<SeriesMap> {
    this.#reader ??= openReader(this.database.readerInit(), this.machine);
    const snapshot = this.database.snapshot(tenant, ALWAYS);
    try {
      return await answerOf(this.#reader, snapshot);
    } finally {
      this.database.release(snapshot.id);
    }
  }

  /** The samples of the series `m{i="…"}`, values as bits. */
  async samples(tenant: string, i: number | string = 0): Promise<[number, bigint][]> {
    const list = (await this.answer(tenant)).get(labelText(labelsOf(i)));
    return Array.from(list?.timestamps ?? [], (timestampMs, row) => [timestampMs, list?.bits[row] as bigint]);
  }
}

/** Samples with their values as bits, as an answer has them. */
export function withBits(samples: readonly PlainSample[]): [number, bigint][] {
  return samples.map(([timestampMs, value]) => [timestampMs, bitsOf(value)]);
}

function labelsOf(i: number | string): LabelPairs {
  return [
    ['__name__', 'm'],
    ['i', String(i)],
  ];
}
