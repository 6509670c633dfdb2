/**
 * The head's checkpoint: every definition, and every chunk and item that no published block covers, of all tenants, as WAL
 * records. It may hold samples that are also in the segments that stay: the replay takes those for the duplicates
 * that they are. Definitions stand before the chunks and once more behind them, so that one damaged record orphans no
 * series. Layouts of the records: storage/kernel/assembly/replay.ts, docs/formats/wal.md.
 */
import * as L from '../kernel/layout.ts';
import { ByteWriter } from '../lib/bytes.ts';
import type { ChunkFilter, HeadView } from './head-view.ts';

/** A record is handed over when it has grown beyond this; series and chunks are never split. */
const RECORD_BYTES = 512 * 1024;

/** A tenant of the checkpoint; `published` tells for a window which of its generations is in a block already. */
export interface CheckpointTenant {
  readonly handle: number;
  readonly key: string;
  readonly published: ReadonlyMap<number, number>;
}

/** Hands the records of the checkpoint to `append`, one after the other; a record is valid until it returns. */
export function writeHeadCheckpoint(
  view: HeadView,
  tenants: readonly CheckpointTenant[],
  append: (record: Uint8Array) => void,
): void {
  const record = new ByteWriter(RECORD_BYTES * 2);
  record.u8(L.RECORD_CHECKPOINT);
  record.uvarint(view.memory.word(L.NEXT_GENERATION));
  record.uvarint(Number(view.memory.long(L.NEXT_REF)));
  append(record.bytes);
  // One list for all: a series that comes meanwhile is in the segments that stay.
  const all = tenants.map((tenant) => ({ ...tenant, rows: view.list(tenant.handle + L.TENANT_ROWS) }));
  for (const { key, rows } of all) writeDefinitions(view, key, rows, record, append);
  for (const { rows, published } of all) {
    const wanted: ChunkFilter = (window, generation) => published.get(window) !== generation;
    writeChunks(view, rows, wanted, record, append);
    writeItems(view, rows, wanted, record, append);
  }
  for (const { key, rows } of all) writeDefinitions(view, key, rows, record, append);
}

function writeDefinitions(
  view: HeadView,
  key: string,
  rows: Uint32Array,
  record: ByteWriter,
  append: (record: Uint8Array) => void,
): void {
  const labels = new ByteWriter();
  const keyBytes = new TextEncoder().encode(key);
  for (let i = 0; i < rows.length; ) {
    record.reset();
    record.u8(L.RECORD_DEFINITIONS);
    record.u8(keyBytes.length);
    record.raw(keyBytes);
    for (; i < rows.length && record.length < RECORD_BYTES; i++) {
      labels.reset();
      for (const symbol of view.labelSymbols(rows[i] as number)) {
        const length = view.memory.word(symbol + L.SYMBOL_LENGTH);
        labels.uvarint(length);
        labels.raw(view.memory.bytes(symbol + L.SYMBOL_TEXT, length));
      }
      record.uvarint(Number(view.ref(rows[i] as number)));
      record.uvarint(labels.length);
      record.raw(labels.bytes);
    }
    append(record.bytes);
  }
}

function writeChunks(
  view: HeadView,
  rows: Uint32Array,
  wanted: ChunkFilter,
  record: ByteWriter,
  append: (record: Uint8Array) => void,
): void {
  const begin = (): void => {
    record.reset();
    record.u8(L.RECORD_CHUNKS);
  };
  begin();
  for (const row of rows) {
    // In time order the replay appends; backwards it would insert each sample.
    const chunks = view.chunks(row, wanted).sort((a, b) => a.minTimeMs - b.minTimeMs);
    for (const { window, generation, bytes } of chunks) {
      record.uvarint(Number(view.ref(row)));
      record.uvarint(window);
      record.uvarint(generation);
      record.uvarint(bytes.length);
      record.raw(bytes);
    }
    if (record.length < RECORD_BYTES) continue;
    append(record.bytes);
    begin();
  }
  if (record.length > 1) append(record.bytes);
}

function writeItems(
  view: HeadView,
  rows: Uint32Array,
  wanted: ChunkFilter,
  record: ByteWriter,
  append: (record: Uint8Array) => void,
): void {
  const begin = (): void => {
    record.reset();
    record.u8(L.RECORD_KEPT_ITEMS);
  };
  begin();
  for (const row of rows) {
    // An older generation first: of start timestamps at one time the last one counts.
    const items = view.items(row, wanted).sort((a, b) => a.generation - b.generation);
    for (const { kind, timeMs, bytes, generation } of items) {
      record.u8(kind);
      record.uvarint(Number(view.ref(row)));
      record.uvarint(generation);
      record.uvarint(timeMs);
      record.uvarint(bytes.length);
      record.raw(bytes);
      if (record.length < RECORD_BYTES) continue;
      append(record.bytes);
      begin();
    }
  }
  if (record.length > 1) append(record.bytes);
}
