/**
 * The kernel of a shard: one instance on the shard's memory, on the one thread that writes. It decodes requests, keeps
 * series and samples, and puts WAL records into the ring. A call that traps leaves the memory half-written: the process
 * must end, and the WAL brings the head back.
 */
import { StorageError } from '../lib/errors.ts';
import type { Labels } from '../model/labels.ts';
import { snappyError } from './chunk-codec.ts';
import { instantiate, type KernelExports } from './instance.ts';
import * as L from './layout.ts';
import { SharedMemory } from './shared-memory.ts';
import { labelsToWire } from './wire-labels.ts';

/** Keeps a BOM: it is a part of a label. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

const PAGE_BYTES = 65536;
const WORD_BYTES = 8;
/** Free lists of other sizes can hold memory back: addresses may go this much beyond the budget. */
const FRAGMENTATION = 1.25;
const GROWTH_BYTES = 64 * 1024 * 1024;
const MAX_ADDRESS = 0xffff0000;
/** Room the ring must have before a request is applied: its records full, with their frames. */
const RING_ROOM = 2 * L.RECORD_BYTES + L.ITEMS_BYTES + 3 * L.FRAME_HEADER_BYTES;

/** Which times samples may have. Milliseconds of data time. */
export interface TimeRules {
  /** How far after now a sample may be. */
  readonly futureMs: number;
  /** A window that ended so long before the tenant's newest sample is late from its first sample on. */
  readonly outOfOrderMs: number;
  /** 2 h windows of which a tenant may have samples in the head. */
  readonly maxOpenWindows: number;
}

/** What the series of a tenant may be. */
export interface SeriesLimits {
  /** Series in the head; 0: as many as there is room for. */
  readonly headSeries: number;
  /** Of a series; at most MAX_LABELS. */
  readonly labels: number;
  /** At most MAX_NAME_BYTES. */
  readonly labelNameBytes: number;
  /** At most MAX_VALUE_BYTES. */
  readonly labelValueBytes: number;
  /** Of all labels of a series as they are sent; at most MAX_SERIES_BYTES. */
  readonly labelsBytes: number;
}

export const defaultTimeRules: TimeRules = {
  futureMs: 600_000,
  outOfOrderMs: 86_400_000,
  maxOpenWindows: L.MAX_WINDOWS,
};

export interface KernelSettings {
  /** Bytes that series and samples may take. */
  readonly budgetBytes: number;
  /** Seed of the hash tables, so that nobody can prepare collisions. */
  readonly seed: number;
  /** Which times are taken; as `defaultTimeRules` says where nothing is given. */
  readonly times?: Partial<TimeRules>;
  /** What is done with the labels of every series; undefined: they are stored as they come. */
  readonly admit?: (labels: Labels) => Admission;
  /** Where the arena begins; later than usual only to test high addresses. */
  readonly arenaAddress?: number;
}

/** What becomes of a series. */
export interface Admission {
  /** Under which it is stored, sorted by name, none empty; the very ones that were given if nothing changes; undefined: not. */
  readonly labels: Labels | undefined;
  /** The replica of a pair that sends it (`makeReplica`), or 0. */
  readonly replica: number;
}

/** How a body is packed: a snappy block, which is the default, or not at all. */
export type Compression = 'snappy' | 'none';

/** Which message of remote write a body is: prometheus.WriteRequest, which is the default, or io.prometheus.write.v2.Request. */
export type Protocol = 'v1' | 'v2';

/** How a body is to be read. */
export interface WriteFormat {
  readonly compression?: Compression;
  readonly protocol?: Protocol;
}

/** Counts of one request; received = stored + duplicates + conflicts + rejected + droppedRelabel + droppedHa. */
export interface Outcome {
  readonly received: number;
  readonly stored: number;
  readonly duplicates: number;
  readonly conflicts: number;
  /** Of series that the policy drops. */
  readonly droppedRelabel: number;
  /** Of replicas that are not elected. */
  readonly droppedHa: number;
  readonly newSeries: number;
  /** Of `stored` and `duplicates`, those that are histograms. */
  readonly histograms: number;
  /** In the request. */
  readonly exemplars: number;
  readonly exemplarsStored: number;
  /** By reason (EXEMPLAR_… of layout.ts). What is neither stored nor dropped was there already. */
  readonly exemplarsDropped: readonly { readonly reason: number; readonly exemplars: number }[];
  /** What is in a request of 2.0, whatever became of it; of 1.0 only exemplars are counted. */
  readonly carried: { readonly samples: number; readonly histograms: number; readonly exemplars: number };
  /** Symbols of a request of 2.0. */
  readonly symbols: number;
  /** Series of 2.0 that were refused and had nothing to count. */
  readonly emptySeries: number;
  /** Time of the newest sample stored, -1 if none was. */
  readonly newestMs: number;
  /** Rejected samples by reason (REJECT_… of layout.ts). */
  readonly rejected: readonly { readonly reason: number; readonly samples: number }[];
  readonly offenders: readonly Offender[];
}

/** One of the first rejected series or samples of a request. */
export interface Offender {
  readonly reason: number;
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly timestampMs: number;
  /** What was counted or measured, where the reason is a limit. */
  readonly actual: number;
}

/** What a request says of a metric, as the bytes that were sent. */
export interface ToldMetadata {
  readonly name: Uint8Array;
  readonly type: number;
  readonly help: Uint8Array;
  readonly unit: Uint8Array;
}

const malformed = new Map([
  [L.ERROR_VARINT, 'bad tag'],
  [L.ERROR_LENGTH, 'a length or number runs past the end'],
  [L.ERROR_WIRE_TYPE, 'unknown wire type'],
  [L.ERROR_FIELD_TYPE, 'a known field has another wire type'],
]);
const FOREIGN_FIELDS: Readonly<Record<Protocol, string>> = {
  v1: 'fields of remote write 2.0 in a message of 1.0',
  v2: 'fields of remote write 1.0 in a message of 2.0',
};

export class Kernel {
  readonly memory: SharedMemory;
  readonly times: TimeRules;
  readonly #kernel: KernelExports;
  readonly #arena: number;
  readonly #admit: KernelSettings['admit'];

  constructor(settings: KernelSettings) {
    const arena = settings.arenaAddress ?? L.ARENA;
    this.#arena = arena;
    const soft = Math.min(arena + settings.budgetBytes, MAX_ADDRESS);
    const hard = Math.min(arena + settings.budgetBytes * FRAGMENTATION + GROWTH_BYTES, MAX_ADDRESS);
    const initial = Math.ceil((arena + PAGE_BYTES) / PAGE_BYTES);
    this.memory = new SharedMemory(new WebAssembly.Memory({ initial, maximum: 65536, shared: true }));
    this.#admit = settings.admit;
    this.#kernel = instantiate(this.memory.memory, (_, count) => this.#admitSeries(count));
    this.#kernel.initialize(arena, soft | 0, hard | 0, settings.seed | 0);
    this.times = { ...defaultTimeRules, ...settings.times };
    this.memory.setLong(L.FUTURE_MS, BigInt(this.times.futureMs));
    this.memory.setLong(L.OUT_OF_ORDER_MS, BigInt(this.times.outOfOrderMs));
    this.memory.setWord(L.MAX_OPEN_WINDOWS, this.times.maxOpenWindows);
  }

  /**
   * The handle of a tenant, made if it is new. `key` has at most 255 bytes. Throws StorageError 'unavailable' if there
   * is no room for a new one.
   */
  tenant(key: string): number {
    const bytes = new TextEncoder().encode(key);
    if (bytes.length > 255) throw new StorageError('invalid', `tenant key of ${bytes.length} bytes; at most 255`);
    this.memory.bytes(L.IN, bytes.length).set(bytes);
    const tenant = this.#kernel.findTenant(L.IN, bytes.length) >>> 0;
    if (tenant === 0)
      throw new StorageError(
        'unavailable',
        'the head is at its memory budget (--head.memory-budget): no room for a tenant',
      );
    return tenant;
  }

  /**
   * Decodes and checks a remote write request and plans it; nothing is stored yet. Throws StorageError 'limit' or
   * 'invalid', which name the place.
   */
  receive(tenant: number, body: Uint8Array, { compression = 'snappy', protocol = 'v1' }: WriteFormat = {}): void {
    if (body.length > L.MAX_BODY_BYTES)
      throw new StorageError('limit', `body of ${body.length} bytes; at most ${L.MAX_BODY_BYTES}`);
    const length = this.#unpack(body, compression);
    const isValid =
      protocol === 'v1' ? this.#kernel.validateV1(tenant, length) : this.#kernel.validateV2(tenant, length);
    if (isValid === 0) throw this.#damage(protocol);
  }

  #damage(protocol: Protocol): StorageError {
    const code = this.memory.word(L.ERROR_CODE);
    if (code === L.ERROR_SERIES_COUNT)
      return new StorageError('limit', `too many series (limit ${L.MAX_SERIES_PER_REQUEST})`);
    if (code === L.ERROR_SYMBOL_COUNT)
      return new StorageError('limit', `too many symbols (limit ${L.MAX_SYMBOLS_PER_REQUEST})`);
    if (code === L.ERROR_FIRST_SYMBOL) return new StorageError('invalid', 'symbols[0] must be empty string');
    if (code === L.ERROR_OLDER_VERSION)
      return new StorageError('invalid', 'symbols[0] must be "": this is a message of remote write 1.0');
    const what = code === L.ERROR_VERSION ? FOREIGN_FIELDS[protocol] : malformed.get(code);
    return new StorageError('invalid', `protobuf: ${what} at byte ${this.memory.word(L.ERROR_AT)}`);
  }

  /** What was received last, as it is planned. */
  planned(): { readonly series: number; readonly samples: number } {
    return { series: this.memory.word(L.PLAN_COUNT), samples: this.#kernel.plannedSamples() >>> 0 };
  }

  /** Holds new series of a tenant to limits; those that are there stay. */
  limit(tenant: number, limits: SeriesLimits): void {
    const { memory } = this;
    memory.setWord(tenant + L.TENANT_MAX_SERIES, Math.min(limits.headSeries, 0xffffffff));
    memory.setWord(tenant + L.TENANT_MAX_LABELS, Math.min(limits.labels, L.MAX_LABELS));
    memory.setWord(tenant + L.TENANT_MAX_NAME_BYTES, Math.min(limits.labelNameBytes, L.MAX_NAME_BYTES));
    memory.setWord(tenant + L.TENANT_MAX_VALUE_BYTES, Math.min(limits.labelValueBytes, L.MAX_VALUE_BYTES));
    memory.setWord(tenant + L.TENANT_MAX_SERIES_BYTES, Math.min(limits.labelsBytes, L.MAX_SERIES_BYTES));
  }

  /** Counts new series that come with a label of one of these names. Once in the life of a kernel. */
  reserveNames(names: readonly string[]): void {
    const texts = names.map((name) => new TextEncoder().encode(name)).filter(({ length }) => length < 256);
    const bytes = Uint8Array.from(texts.flatMap((text) => [text.length, ...text]));
    this.memory.bytes(L.IN, bytes.length).set(bytes);
    this.#kernel.reserveNames(L.IN, bytes.length);
  }

  /** New series of a tenant, since the start, that came with a label of a reserved name. */
  hiddenSeries(tenant: number): number {
    return this.memory.word(tenant + L.TENANT_HIDDEN);
  }

  /**
   * Before a request is received under a policy: series are asked about again whose aliases were resolved under another
   * generation of it, an integer above 0.
   */
  setPolicyGeneration(generation: number): void {
    this.memory.setWord(L.POLICY_GENERATION, generation);
    this.#kernel.forgetRowless();
  }

  /** A new replica, which is not elected. Called by `admit`, too. */
  makeReplica(): number {
    return this.#kernel.makeReplica() >>> 0;
  }

  /** Before a request is applied: the replicas that send what was received last, as far as its aliases tell. */
  meetReplicas(): number[] {
    this.#kernel.meetReplicas();
    return this.metReplicas;
  }

  /** The replicas that send what was applied last; those that are found by their aliases stand first. */
  get metReplicas(): number[] {
    const count = this.memory.word(L.MET_COUNT);
    return Array.from({ length: count }, (_, i) => this.memory.word(L.MET_REPLICAS + i * 4));
  }

  /** Until it is called with 0: only what this replica sends is placed, and only behind what each series has. */
  fillFrom(replica: number): void {
    this.memory.setWord(L.FILL_REPLICA, replica);
  }

  /** Answers a call of the kernel, which has left `count` labels in SCRATCH. */
  #admitSeries(count: number): number {
    const { memory } = this;
    const text = (at: number): string => decoder.decode(memory.bytes(memory.word(at), memory.word(at + 4)).slice());
    const labels = Array.from({ length: 2 * count }, (_, i) => text(L.SCRATCH + i * 8));
    const answer = this.#admit?.(labels) ?? { labels, replica: 0 };
    memory.setWord(L.ADMIT_REPLICA, answer.replica);
    if (answer.labels === undefined || answer.labels.length === 0) return L.ADMIT_DROPPED;
    if (answer.labels === labels) return L.ADMIT_UNCHANGED | 0;
    const wire = labelsToWire(answer.labels);
    if (wire.length > L.ADMITTED_BYTES) return L.ADMIT_TOO_LONG | 0;
    memory.bytes(L.ADMITTED, wire.length).set(wire);
    return wire.length;
  }

  /** Puts the message of a body into RAW; returns its length. */
  #unpack(body: Uint8Array, compression: Compression): number {
    if (compression === 'none') {
      this.memory.bytes(L.RAW, body.length).set(body);
      return body.length;
    }
    // Into shared memory V8 copies words where both sides are aligned alike, and else bytes: much slower.
    const at = L.IN + (body.byteOffset % WORD_BYTES);
    this.memory.bytes(at, body.length).set(body);
    const length = this.#kernel.decodeSnappy(at, body.length, L.RAW, L.MAX_BODY_BYTES) >>> 0;
    if (length !== 0xffffffff) return length;
    throw snappyError(this.memory.word(L.ERROR_CODE), this.memory.word(L.ERROR_AT), L.MAX_BODY_BYTES);
  }

  /** Whether the WAL ring has room for what one `apply` can write. */
  get hasRingRoom(): boolean {
    return L.WAL_RING_BYTES - this.ringUsed > RING_ROOM;
  }

  /** Bytes in the ring that are not durable yet. */
  get ringUsed(): number {
    return (this.memory.loadWord(L.WAL_HEAD) - this.memory.loadWord(L.WAL_TAIL)) >>> 0;
  }

  /**
   * Stores what was received, up to what the WAL records hold: APPLIED, APPLIED_PART (call again when the ring has
   * room) or OUT_OF_MEMORY (what was stored stays stored). Samples later than `latestMs` are rejected.
   */
  apply(tenant: number, latestMs: number): number {
    return this.#kernel.apply(tenant, BigInt(latestMs));
  }

  /** What became of the request that was received last, so far. */
  outcome(): Outcome {
    const { memory } = this;
    const rejected: { reason: number; samples: number }[] = [];
    for (let reason = 1; reason < L.REASONS; reason++) {
      const samples = memory.word(L.OUT_REJECTED + reason * 4);
      if (samples > 0) rejected.push({ reason, samples });
    }
    const stored = memory.word(L.OUT_STORED);
    const duplicates = memory.word(L.OUT_DUPLICATES);
    const conflicts = memory.word(L.OUT_CONFLICTS);
    const droppedRelabel = memory.word(L.OUT_DROPPED_RELABEL);
    const droppedHa = memory.word(L.OUT_DROPPED_HA);
    const counted = stored + duplicates + conflicts + droppedRelabel + droppedHa;
    return {
      received: rejected.reduce((sum, { samples }) => sum + samples, counted),
      stored,
      duplicates,
      conflicts,
      droppedRelabel,
      droppedHa,
      newSeries: memory.word(L.OUT_NEW_SERIES),
      histograms: memory.word(L.OUT_HISTOGRAMS),
      exemplars: memory.word(L.OUT_EXEMPLARS),
      carried: {
        samples: memory.word(L.OUT_CARRIED_SAMPLES),
        histograms: memory.word(L.OUT_CARRIED_HISTOGRAMS),
        exemplars: memory.word(L.OUT_EXEMPLARS),
      },
      symbols: memory.word(L.SYMBOL_COUNT),
      emptySeries: memory.word(L.OUT_EMPTY_SERIES),
      newestMs: Number(BigInt.asIntN(64, memory.long(L.OUT_NEWEST))),
      exemplarsStored: memory.word(L.OUT_EXEMPLARS_STORED),
      exemplarsDropped: this.#exemplarsDropped(),
      rejected,
      offenders: Array.from({ length: memory.word(L.OUT_OFFENDERS) }, (_, i) =>
        this.#offender(L.OFFENDERS + i * L.OFFENDER_BYTES),
      ),
    };
  }

  #exemplarsDropped(): { reason: number; exemplars: number }[] {
    const dropped: { reason: number; exemplars: number }[] = [];
    for (let reason = L.EXEMPLAR_SERIES; reason <= L.EXEMPLAR_WINDOWS; reason++) {
      const exemplars = this.memory.word(L.OUT_EXEMPLARS_DROPPED + (reason - 1) * 4);
      if (exemplars > 0) dropped.push({ reason, exemplars });
    }
    return dropped;
  }

  #offender(at: number): Offender {
    const { memory } = this;
    const labels = memory.bytes(memory.word(at + L.OFFENDER_LABELS), memory.word(at + L.OFFENDER_LABELS_BYTES));
    return {
      reason: memory.word(at + L.OFFENDER_REASON),
      labels: decodeWireLabels(labels),
      timestampMs: Number(BigInt.asIntN(64, memory.long(at + L.OFFENDER_TIME))),
      actual: memory.word(at + L.OFFENDER_ACTUAL),
    };
  }

  /** What the request that was received last said of metrics and, of 2.0, no request before it. Valid until the next one. */
  metadata(): ToldMetadata[] {
    const { memory } = this;
    const text = (at: number): Uint8Array => memory.bytes(memory.word(at), memory.word(at + 4));
    return Array.from({ length: memory.word(L.METADATA_COUNT) }, (_, i) => {
      const at = L.METADATA + i * L.METADATA_BYTES;
      return {
        name: text(at + L.METADATA_NAME),
        type: memory.word(at + L.METADATA_TYPE),
        help: text(at + L.METADATA_HELP),
        unit: text(at + L.METADATA_UNIT),
      };
    });
  }

  /** Puts a record into the WAL; returns the sequence of its frame. There is room for it in the ring. */
  log(payload: Uint8Array): bigint {
    const sequence = this.nextSequence;
    this.memory.bytes(L.IN, payload.length).set(payload);
    this.#kernel.pushFrame(L.IN, payload.length);
    return sequence;
  }

  /** The sequence that the next WAL frame gets. */
  get nextSequence(): bigint {
    return this.memory.long(L.SEQUENCE);
  }

  /** Writes second copies of definitions for the first `rows` rows ever made, as many as fit; true if none are missing. */
  redefine(rows: number): boolean {
    return ((rows - this.#kernel.redefine(rows)) | 0) <= 0;
  }

  /** Rows that are there. */
  get rowCount(): number {
    return this.memory.loadWord(L.ROW_COUNT);
  }

  /** Rows ever made, modulo 2^32. */
  get rowsMade(): number {
    return this.memory.word(L.ROWS_MADE);
  }

  /** How many of them have the second copy of their definition. */
  get rowsDefinedTwice(): number {
    return this.memory.word(L.ROWS_DEFINED_TWICE);
  }

  /** Replayed samples that belong to no series. */
  get orphanSamples(): number {
    return this.memory.word(L.OUT_ORPHANS);
  }

  /** The keys of all tenants. */
  tenantKeys(): string[] {
    const { memory } = this;
    return this.#tenantHandles().map((tenant) => {
      const key = memory.word(tenant + L.TENANT_KEY);
      return new TextDecoder().decode(memory.bytes(key + L.SYMBOL_TEXT, memory.word(key + L.SYMBOL_LENGTH)).slice());
    });
  }

  /** Samples that were stored, those of a replay included. */
  sampleCount(): number {
    return this.#tenantHandles().reduce((sum, tenant) => sum + Number(this.memory.long(tenant + L.TENANT_SAMPLES)), 0);
  }

  #tenantHandles(): number[] {
    const { memory } = this;
    const table = memory.word(L.TENANTS);
    const handles: number[] = [];
    const end = table + L.TABLE_SLOTS + (memory.word(table + L.TABLE_MASK) + 1) * 8;
    for (let slot = table + L.TABLE_SLOTS; slot < end; slot += 8) {
      const tenant = memory.word(slot + 4);
      if (tenant !== 0) handles.push(tenant);
    }
    return handles;
  }

  /** Bytes of the budget in use. */
  get usedBytes(): number {
    return this.memory.word(L.BUMP) - this.#arena - this.memory.word(L.FREE_BYTES);
  }

  /** What series and samples may take. */
  get budgetBytes(): number {
    return this.memory.word(L.SOFT_LIMIT) - this.#arena;
  }

  /** Replay: what published blocks hold of a tenant's window. See docs/formats/wal.md. */
  cover(tenant: number, window: number, generation: number, position: bigint): void {
    this.#kernel.cover(tenant, window, generation, position);
  }

  /** Replays a record: REPLAYED, REPLAY_DAMAGED or OUT_OF_MEMORY. */
  replay(payload: Uint8Array, sequence: bigint): number {
    this.memory.bytes(L.IN, payload.length).set(payload);
    return this.#kernel.replay(L.IN, payload.length, sequence);
  }

  /**
   * After the replay, before there are readers: the log goes on at this sequence, as this generation; every series is
   * already defined in it.
   */
  continueLog(sequence: bigint, generation: number): void {
    this.memory.setLong(L.SEQUENCE, sequence);
    this.memory.setWord(L.WAL_GENERATION, generation);
    this.#kernel.endReplay();
  }

  /** Seals the open generation of a live window; 0 if the window is not live or one of its generations is sealed. */
  seal(tenant: number, window: number): number {
    return this.#kernel.seal(tenant, window) >>> 0;
  }

  /** Takes a sealed generation out of `count` rows of a segment of the tenant's row list. */
  dropFromSegment(segment: number, index: number, count: number, window: number, generation: number): void {
    this.#kernel.dropFromSegment(segment, index, count, window, generation);
  }

  /** Frees the sealed generation of a window; no row refers to it any more. */
  release(tenant: number, window: number): void {
    this.#kernel.release(tenant, window);
  }

  /** Marks those of `count` rows of a segment of a tenant's row list that hold nothing; returns how many. */
  markEmpty(segment: number, index: number, count: number): number {
    return this.#kernel.markEmpty(segment, index, count) >>> 0;
  }

  /**
   * Lets the marked rows of a tenant go that still hold nothing, or goes on with it; true when it is done, and only then
   * another tenant may be at work. `work` bounds the step: so many items of lists are copied, or what takes as long. No
   * request is in the kernel in parts meanwhile, and the log needs the definitions of the rows no more.
   */
  collect(tenant: number, work: number): boolean {
    return this.#kernel.collect(tenant, work) !== 0;
  }

  /** Whether there is memory that nothing leads to any more and that was not sealed. */
  get hasRetired(): boolean {
    return this.memory.word(L.RETIRED + L.LIST_COUNT) > 0;
  }

  /**
   * Memory that nothing leads to any more, and in which readers may be: says that the host asks now who they are;
   * returns how many pieces are to be freed when they have left.
   */
  sealRetired(): number {
    return this.#kernel.sealRetired() >>> 0;
  }

  /** Frees up to `count` pieces of what was sealed; returns how many are left. Nobody reads who read at the seal. */
  freeRetired(count: number): number {
    return this.#kernel.freeRetired(count) >>> 0;
  }
}

/** The labels of a series as they came over the wire, well-formed but not checked: for error texts. */
function decodeWireLabels(bytes: Uint8Array): [string, string][] {
  const labels: [string, string][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  const text = new TextDecoder();
  while (at < bytes.length) {
    at++;
    const end = varint() + at;
    const label: [string, string] = ['', ''];
    while (at < Math.min(end, bytes.length)) {
      const tag = varint();
      if ((tag & 7) !== 2) return labels; // a field of a later protocol: the rest says nothing to people
      const length = varint();
      if (tag >>> 3 === 1) label[0] = text.decode(bytes.slice(at, at + length));
      if (tag >>> 3 === 2) label[1] = text.decode(bytes.slice(at, at + length));
      at += length;
    }
    labels.push(label);
  }
  return labels;
}
