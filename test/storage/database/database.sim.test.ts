/**
 * The whole engine on a simulated machine, against a map: nothing acknowledged is lost or doubled, whatever call of the
 * disk the power fails at, and whatever the disk refuses meanwhile. A failing seed is in the name of the error; run it
 * alone with `SEED=… npx vitest run test/storage/database/database.sim.test.ts`.
 */
import { beforeAll, expect, test } from 'vitest';
import { openBucketAt } from '../../../storage/bucket/bucket-location.ts';
import { DirectoryBucket } from '../../../storage/bucket/directory-bucket.ts';
import { isRestorable } from '../../../storage/data-directory.ts';
import { Database } from '../../../storage/database/database.ts';
import type { DatabaseEvent } from '../../../storage/database/database-options.ts';
import type { Snapshot } from '../../../storage/head/snapshots.ts';
import { isSystemError } from '../../../storage/io/system-error.ts';
import { StorageError } from '../../../storage/lib/errors.ts';
import { RestoreChoiceError, restore } from '../../../storage/restore.ts';
import { openReader, type Reader } from '../../../storage/select/reader.ts';
import { BucketControl, type BucketFate } from '../../support/controlled-bucket.ts';
import { ALWAYS, answerOf } from '../../support/database-answers.ts';
import { writeRequest } from '../../support/remote-write.ts';
import { type ModelSample, SampleModel } from '../../support/sample-model.ts';
import type { LabelPairs } from '../../support/series.ts';
import { SimFileSystem, seededChance } from '../../support/sim-file-system.ts';
import { SimMachine } from '../../support/sim-machine.ts';

const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000;
const TENANTS = ['a', 'b', 'c'];

// Loading takes turns that no seed knows of.
beforeAll(async () => {
  await openBucketAt(new BucketControl().location, new SimMachine(new SimFileSystem(), START_MS, Math.random));
});

/** Where the bucket is, if the database has one: on the same disk, in another directory. */
const STORE = '/store';
/** Fewer than the blocks of a life take: copies have to go. */
const LOCAL_BLOCKS_BYTES = 3000;

/** One seed: a disk, and the lives of the machines on it. */
class Simulation {
  readonly #chance: () => number;
  readonly #bucket: BucketControl | undefined;
  #isStoreIll = false;
  /** The catalogue is new in each life: only the bucket knows which blocks are there and nowhere else. */
  #isStoreWell = false;
  readonly #disk = new SimFileSystem();
  readonly #models = new Map(TENANTS.map((tenant) => [tenant, new SampleModel()]));
  /** Where each tenant's samples are in time. */
  readonly #dataMs = new Map(TENANTS.map((tenant) => [tenant, START_MS]));
  readonly events = new Map<DatabaseEvent['kind'], number>();
  /** Dead series that left the head. */
  removed = 0;
  #nowMs = START_MS + 24 * HOUR_MS;
  /** The newest life. */
  #machine: SimMachine = new SimMachine(this.#disk, this.#nowMs, Math.random);
  #database!: Database;
  #reader!: Reader;

  /** The machine may be lost with its disk: answers wait for the bucket. */
  readonly #isLossy: boolean;
  losses = 0;

  constructor(seed: number, bucket?: BucketControl, isLossy = false) {
    this.#chance = seededChance(seed);
    this.#bucket = bucket;
    this.#isLossy = isLossy;
    if (bucket !== undefined) bucket.fate = () => this.#fate();
  }

  /** Of a request to the bucket: the store is well or ill for a while, and any answer may be lost. */
  #fate(): BucketFate | undefined {
    if (this.#isStoreWell) return undefined;
    if (this.#chance() < 0.02) this.#isStoreIll = !this.#isStoreIll;
    if (this.#isStoreIll) return 'before';
    return this.#chance() < 0.05 ? 'after' : undefined;
  }

  get promised(): number {
    return [...this.#models.values()].reduce((sum, { promised }) => sum + promised, 0);
  }

  /** From a start to a stop or a loss of power. */
  async live(): Promise<void> {
    this.#machine = new SimMachine(this.#disk, this.#nowMs, this.#chance);
    const { fileSystem, clock } = this.#machine;
    if (this.#chance() < 0.8) fileSystem.cutPowerAfter(this.#below(this.#chance() < 0.2 ? 30 : 400));
    if (this.#chance() < 0.1) fileSystem.breakAt({ at: 1 + this.#below(40), code: 'EIO' });
    try {
      this.#isStoreWell = true;
      if (this.#isLossy) await this.#restore();
      this.#database = await this.#until('the start', this.#open());
      this.#isStoreWell = false;
      // A disk that fails just then keeps the start from asking.
      if (this.#bucket !== undefined && this.#database.stats().syncs === 0) await this.#repair();
      if (this.#bucket !== undefined && this.#database.stats().syncs === 0) throw new Error('the power went off');
      this.#reader = openReader(this.#database.readerInit(), this.#machine);
      await this.#check((model, answer) => model.settle(answer, this.#isLossy));
      for (let step = this.#below(40); step > 0 && !fileSystem.isOff; step--) await this.#step();
      if (!fileSystem.isOff) await this.#check();
      this.removed += this.#database.stats().seriesRemoved;
      if (this.#chance() < 0.3 && !fileSystem.isOff) await this.#database.close();
    } catch (error) {
      // What the power cut short, or a disk that did not let it begin.
      const isExpected = fileSystem.isOff || isSystemError(error) || error instanceof FailedStart;
      if (!isExpected || error instanceof WrongAnswer) throw error;
    }
    this.#machine.stop();
    this.#nowMs = Math.max(this.#nowMs, clock.nowMs()) + (this.#chance() < 0.2 ? -HOUR_MS : 1000);
    this.#disk.crash(this.#chance);
    this.#checkStore();
    if (this.#isLossy && this.#chance() < 0.5) {
      this.#disk.remove('/data');
      this.losses++;
    }
    this.#disk.capacity = Number.POSITIVE_INFINITY;
  }

  /** A directory that is empty gets what was shipped, if anything was. */
  async #restore(): Promise<void> {
    const machine = this.#machine;
    if (!isRestorable(machine.fileSystem, '/data')) return;
    const bucket = new DirectoryBucket(machine.fileSystem, STORE);
    try {
      await restore({ directory: '/data', bucket, host: '', ...machine });
    } catch (error) {
      // A disk that failed, under the bucket.
      if (error instanceof StorageError && isSystemError(error.cause)) throw error.cause;
      if (!(error instanceof RestoreChoiceError && error.isEmpty)) throw error;
      machine.fileSystem.remove('/data/restore.tmp');
    }
  }

  /** The start after a restore waits for the bucket, which is asked in time. */
  async #until<T>(what: string, work: Promise<T>): Promise<T> {
    let isOver = !this.#isLossy;
    const end = (): void => {
      isOver = true;
    };
    work.then(end, end);
    await this.#machine.until(what, () => isOver || this.#machine.fileSystem.isOff);
    if (!isOver) throw new Error('the power went off');
    try {
      return await work;
    } catch (error) {
      // The first checkpoint after a restore could not be written: the next start tries again.
      const isFailed = this.#isLossy && error instanceof StorageError && error.kind === 'unavailable';
      throw isFailed ? new FailedStart(error.message) : error;
    }
  }

  #open(): Promise<Database> {
    const machine = this.#machine;
    let isTorn = false;
    return Database.open({
      directory: '/data',
      memoryBudgetBytes: 64 * 1024 * 1024,
      externalLabels: [],
      tenantLabelName: 'tenant_id',
      defaultTenant: 'default-tenant',
      idleCutMs: 3 * HOUR_MS,
      walSegmentBytes: 4096,
      deadSeriesAtLeast: 2,
      ...(this.#bucket === undefined ? {} : { bucket: this.#bucket.location }),
      ...(this.#isLossy ? { ship: { intervalMs: 250, ack: 'bucket' } } : {}),
      blocks: { localBlocksBytes: LOCAL_BLOCKS_BYTES },
      ...machine,
      onEvent: (event) => {
        this.events.set(event.kind, (this.events.get(event.kind) ?? 0) + 1);
        // Of records that were torn away before they were promised, samples may be left without their definitions.
        isTorn ||= event.kind === 'wal-damage' && event.message.includes('are missing');
        if (event.kind === 'wal-damage' && event.message.includes('samples belong') && !isTorn)
          throw new WrongAnswer(event.message);
        if (event.kind === 'failed' && !machine.fileSystem.isOff) throw new WrongAnswer(event.message);
      },
    });
  }

  async #step(): Promise<void> {
    const { fileSystem, clock } = this.#machine;
    const dice = this.#chance();
    if (dice < 0.6) await this.#writeSome();
    else if (dice < 0.7) await this.#holdSnapshot();
    else if (dice < 0.8) this.#pass(20);
    else if (dice < 0.84) this.#pass(3 * 3600);
    else if (dice < 0.88) await this.#check();
    else if (dice < 0.92) fileSystem.breakAt({ at: 1 + this.#below(20), code: 'EIO', sticky: this.#chance() < 0.5 });
    else if (dice < 0.95) this.#disk.capacity = this.#disk.usedBytes() + this.#below(10_000);
    else await this.#repair();
    clock.advance(1000);
    await this.#machine.turns(this.#below(12));
  }

  #pass(seconds: number): void {
    this.#machine.clock.advance(seconds * 1000);
  }

  /** The disk works again, and then so does the engine, without a restart. */
  async #repair(): Promise<void> {
    this.#machine.fileSystem.repair();
    this.#disk.capacity = Number.POSITIVE_INFINITY;
    const isWell = (): boolean => this.#database.stats().walFailing === 0 || this.#machine.fileSystem.isOff;
    await this.#machine.until('the WAL to be written again', isWell, { stepMs: 250 });
    if (this.#bucket === undefined) return;
    const isSynced = (): boolean => this.#database.stats().syncs > 0 || this.#machine.fileSystem.isOff;
    this.#isStoreWell = true;
    await this.#machine.until('a sync', isSynced, { steps: 1000 });
    this.#isStoreWell = false;
  }

  /** A few requests at once; who is not answered until the power fails may be in or not. */
  async #writeSome(): Promise<void> {
    const writes = Array.from({ length: 1 + this.#below(3) }, () => this.#write());
    await Promise.race([Promise.all(writes), this.#machine.turns(this.#chance() < 0.1 ? 1 : 200)]);
  }

  async #write(): Promise<void> {
    const tenant = TENANTS[this.#below(TENANTS.length)] as string;
    const model = this.#models.get(tenant) as SampleModel;
    const samples = this.#someSamples(tenant);
    const refused: ModelSample = { labels: [['__name__', 'future']], timestampMs: 2 ** 43, value: 1 };
    model.send(samples);
    const sent = this.#chance() < 0.1 ? [...samples, refused] : samples;
    try {
      const outcome = await this.#database.write(tenant, requestOf(sent));
      expect(outcome.received).toBe(sent.length);
      expect(outcome.rejected).toBe(sent.length - samples.length);
      model.acknowledge(samples);
    } catch (error) {
      if (!(error instanceof StorageError) || error.kind !== 'unavailable') throw new WrongAnswer(String(error));
    }
  }

  /** Mostly the next scrape or many of them; sometimes late ones, sometimes the same again, sometimes with other values. */
  #someSamples(tenant: string): ModelSample[] {
    const isLate = this.#chance() < 0.3;
    const stepMs = this.#chance() < 0.1 ? HOUR_MS : 15_000;
    const fromMs = (this.#dataMs.get(tenant) as number) - (isLate ? this.#below(8) * HOUR_MS : 0);
    const scrapes = 1 + this.#below(40);
    const series = 1 + this.#below(4);
    const samples: ModelSample[] = [];
    for (let scrape = 0; scrape < scrapes; scrape++) {
      for (let i = 0; i < series; i++) {
        const labels: LabelPairs = [
          ['__name__', 'm'],
          // Every five hours other series: the old ones die.
          ['i', String(Math.floor(fromMs / (5 * HOUR_MS)) * 4 + i)],
        ];
        samples.push({ labels, timestampMs: fromMs + scrape * stepMs, value: this.#below(4) });
      }
    }
    // Data of the future would be refused.
    const { clock } = this.#machine;
    clock.setWall(Math.max(clock.nowMs(), fromMs + scrapes * stepMs));
    if (!isLate) this.#dataMs.set(tenant, fromMs + scrapes * stepMs + this.#below(40) * 60_000);
    return samples;
  }

  /** A query that takes its time sees in the end what it saw in the beginning. */
  async #holdSnapshot(): Promise<void> {
    const held = TENANTS.map((tenant) => [tenant, this.#database.snapshot(tenant, ALWAYS)] as const);
    const { clock, fileSystem } = this.#machine;
    const before = await Promise.all(held.map(([, snapshot]) => this.#answer(snapshot)));
    for (let i = 0; i < 5 && !fileSystem.isOff; i++) {
      clock.advance(this.#chance() < 0.2 ? 3 * HOUR_MS : 1000);
      await this.#machine.turns(this.#below(30));
      const during = await Promise.all(held.map(([, snapshot]) => this.#answer(snapshot)));
      if (!sameAnswers(during, before)) throw new WrongAnswer('an answer changed while its snapshot was held');
    }
    for (const [, { id }] of held) this.#database.release(id);
  }

  async #answer(snapshot: Snapshot): ReturnType<typeof answerOf> {
    // The bucket's directories are on the same disk.
    const blocks = snapshot.blocks.map((place) => ({
      localDirectory: `${STORE}/${place.bucketDirectory}`,
      ...place,
    }));
    return await answerOf(this.#reader, { ...snapshot, blocks });
  }

  async #check(then?: (model: SampleModel, answer: Awaited<ReturnType<typeof answerOf>>) => void): Promise<void> {
    for (const [tenant, model] of this.#models) {
      const snapshot = this.#database.snapshot(tenant, ALWAYS);
      const answer = await this.#answer(snapshot);
      this.#database.release(snapshot.id);
      const faults = model.faults(answer);
      if (faults.length > 0) throw new WrongAnswer(`tenant ${tenant}: ${faults.slice(0, 5).join('\n')}`);
      then?.(model, answer);
    }
  }

  /** What has a meta.json in the bucket is a whole block. */
  #checkStore(): void {
    const paths = new Set(this.#disk.paths());
    for (const path of paths) {
      const [, directory = ''] = /^(\/store\/[^/]+)\/meta\.json$/.exec(path) ?? [];
      if (directory === '') continue;
      if (!paths.has(`${directory}/index`) || !paths.has(`${directory}/chunks/000001`))
        throw new WrongAnswer(`${directory} is visible and not whole`);
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#chance() * limit);
  }
}

class FailedStart extends Error {}

/** Against what the engine promises, power or not. */
class WrongAnswer extends Error {}

function sameAnswers(a: readonly unknown[], b: readonly unknown[]): boolean {
  try {
    expect(a).toEqual(b);
    return true;
  } catch {
    return false;
  }
}

function requestOf(samples: readonly ModelSample[]): Buffer<ArrayBuffer> {
  const bySeries = new Map<LabelPairs, [number, number | bigint][]>();
  const known = new Map<string, LabelPairs>();
  for (const { labels, timestampMs, value } of samples) {
    const text = JSON.stringify(labels);
    const key = known.get(text) ?? labels;
    known.set(text, key);
    const list = bySeries.get(key) ?? [];
    bySeries.set(key, list);
    list.push([timestampMs, value]);
  }
  return writeRequest(Array.from(bySeries, ([labels, list]) => ({ labels, samples: list })));
}

const given = process.env.SEED;
const firstSeed = given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);

async function simulate(seed: number, bucket?: BucketControl, isLossy = false): Promise<Simulation> {
  const simulation = new Simulation(seed, bucket, isLossy);
  try {
    for (let life = 0; life < 8; life++) await simulation.live();
  } catch (error) {
    throw new Error(`SEED=${seed}: ${(error as Error).message}`, { cause: error });
  }
  return simulation;
}

test('whenever the power fails or the disk refuses, nothing acknowledged is missing and nothing else is there', async () => {
  const events = new Map<string, number>();
  let promised = 0;
  let removed = 0;
  for (let seed = firstSeed; seed < firstSeed + (given === undefined ? 16 : 1); seed++) {
    const simulation = await simulate(seed);
    promised += simulation.promised;
    removed += simulation.removed;
    for (const [kind, count] of simulation.events) events.set(kind, (events.get(kind) ?? 0) + count);
  }
  if (given !== undefined) return;
  // It did see what it is about.
  expect(promised).toBeGreaterThan(10_000);
  expect(removed).toBeGreaterThan(0);
  for (const kind of ['cut', 'checkpoint', 'wal-failing', 'wal-recovered', 'retry'] as const)
    expect([kind, (events.get(kind) ?? 0) > 0]).toEqual([kind, true]);
});

test('the same with a bucket that is well and ill, and copies that have to make room', async () => {
  const events = new Map<string, number>();
  for (let seed = firstSeed; seed < firstSeed + (given === undefined ? 16 : 1); seed++) {
    const simulation = await simulate(seed, new BucketControl(STORE));
    for (const [kind, count] of simulation.events) events.set(kind, (events.get(kind) ?? 0) + count);
  }
  if (given !== undefined) return;
  for (const kind of ['block-uploaded', 'upload-retry', 'block-evicted', 'bucket-synced', 'bucket-failing'] as const)
    expect([kind, (events.get(kind) ?? 0) > 0]).toEqual([kind, true]);
});

test('the same when the machine is lost with its disk, and answers wait for the bucket', async () => {
  const events = new Map<string, number>();
  let promised = 0;
  let losses = 0;
  for (let seed = firstSeed; seed < firstSeed + (given === undefined ? 16 : 1); seed++) {
    const simulation = await simulate(seed, new BucketControl(STORE), true);
    promised += simulation.promised;
    losses += simulation.losses;
    for (const [kind, count] of simulation.events) events.set(kind, (events.get(kind) ?? 0) + count);
  }
  expect(events.get('fenced')).toBeUndefined();
  if (given !== undefined) return;
  expect(promised).toBeGreaterThan(1000);
  expect(losses).toBeGreaterThan(20);
  for (const kind of ['cut', 'checkpoint', 'ship-failing', 'ship-recovered'] as const)
    expect([kind, (events.get(kind) ?? 0) > 0]).toEqual([kind, true]);
});

test('a seed gives the same run again', async () => {
  // Taken at once: what a machine without power still reports comes later, if there is a later.
  const run = async (): Promise<unknown[]> => {
    const { promised, events } = await simulate(firstSeed);
    return [promised, ...events];
  };
  const first = await run();
  expect(await run()).toEqual(first);
});
