/**
 * The content of the entries in a block's extra files (extra-file.ts). Lists are sorted by time, and a time is written as
 * the difference to the one before it, the first as itself.
 *
 *   exemplars     count uvarint, (time varint, length uvarint, message) *
 *   start times   of floats, then of histograms: count uvarint, (time varint, start varint) *
 *   metadata      count uvarint, (family, type, help, unit) *      strings as length uvarint, UTF-8
 */
import { ByteReader, ByteWriter } from '../lib/bytes.ts';
import type { MetricMetadata, StartTime, StartTimes, StoredExemplar } from '../model/extras.ts';

/** Metadata belongs to no series: its file has one entry, under this ref. */
export const METADATA_REF = 0;

/** The entry's content; valid until the next call with this writer. */
export function encodeExemplars(exemplars: readonly StoredExemplar[], out: ByteWriter): Uint8Array {
  out.reset();
  out.uvarint(exemplars.length);
  let before = 0;
  for (const { timeMs, message } of exemplars) {
    out.varint(timeMs - before);
    out.uvarint(message.length);
    out.raw(message);
    before = timeMs;
  }
  return out.bytes;
}

/** Undefined if the content is none. Messages are views of it. */
export function decodeExemplars(content: Uint8Array): StoredExemplar[] | undefined {
  const reader = new ByteReader(content);
  let timeMs = 0;
  const exemplars = list(reader, () => {
    timeMs += reader.varint();
    return { timeMs, message: reader.raw(reader.uvarint()) };
  });
  return whole(reader, exemplars);
}

export function encodeStartTimes({ floats, histograms }: StartTimes, out: ByteWriter): Uint8Array {
  out.reset();
  for (const starts of [floats, histograms]) {
    out.uvarint(starts.length);
    let before = 0;
    for (const { timeMs, startMs } of starts) {
      out.varint(timeMs - before);
      out.varint(startMs);
      before = timeMs;
    }
  }
  return out.bytes;
}

export function decodeStartTimes(content: Uint8Array): StartTimes | undefined {
  const reader = new ByteReader(content);
  const starts = (): StartTime[] => {
    let timeMs = 0;
    return list(reader, () => {
      timeMs += reader.varint();
      return { timeMs, startMs: reader.varint() };
    });
  };
  return whole(reader, { floats: starts(), histograms: starts() });
}

export function encodeMetadata(metadata: readonly MetricMetadata[]): Uint8Array {
  const out = new ByteWriter(4096);
  out.uvarint(metadata.length);
  for (const { family, type, help, unit } of metadata) for (const text of [family, type, help, unit]) out.text(text);
  return out.bytes;
}

export function decodeMetadata(content: Uint8Array): MetricMetadata[] | undefined {
  const reader = new ByteReader(content);
  const text = (): string => reader.text();
  return whole(
    reader,
    list(reader, () => ({ family: text(), type: text(), help: text(), unit: text() })),
  );
}

/** As many as the content says it has; it may say any number, so the first failure ends it. */
function list<T>(reader: ByteReader, read: () => T): T[] {
  const items: T[] = [];
  for (let count = reader.uvarint(); count > 0 && !reader.failed; count--) items.push(read());
  return items;
}

/** The value, if it is all that was there. */
function whole<T>(reader: ByteReader, value: T): T | undefined {
  return reader.failed || reader.remaining > 0 ? undefined : value;
}
