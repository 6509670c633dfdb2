/**
 * The activity of the thread that translates OTLP: unpacks a body, reads it, and makes parts of a megabyte of it, each when
 * it is asked for. Several requests may be open at once; between two parts of one it works on the others.
 */
import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { type Port, StorageError } from '../../storage/index.ts';
import { transcodeJson } from './otlp-json.ts';
import type { FromTranslator, OtlpBody, ToTranslator } from './otlp-messages.ts';
import { MetricsTranslation, type WriteBatch } from './otlp-metrics.ts';
import { EXPORT_REQUEST } from './otlp-schema.ts';

/** A zstd frame asks for the memory it wants, as a power of two; this is as much as a body may become. */
const ZSTD_WINDOW_LOG_MAX = 25;
const CHUNK_BYTES = 256 * 1024;

interface Open {
  readonly translation: MetricsTranslation;
  readonly batches: Iterator<WriteBatch, void>;
}

/** Called by the executor on the new thread. */
export function run(port: Port): void {
  const open = new Map<number, Open>();
  const post = (message: FromTranslator, transfer?: readonly ArrayBuffer[]): void => port.post(message, transfer);
  port.onMessage((received) => {
    const message = received as ToTranslator;
    const { id } = message;
    try {
      if (message.type === 'cancel') open.delete(id);
      else if (message.type === 'start') begin(message);
      else proceed(id);
    } catch (error) {
      open.delete(id);
      if (error instanceof TooLargeError) post({ type: 'too-large', id });
      else if (error instanceof StorageError) post({ type: 'error', id, kind: error.kind, message: error.message });
      else throw error;
    }
  });

  function begin({ id, body, limitBytes }: Extract<ToTranslator, { type: 'start' }>): void {
    const bytes = messageOf(body, limitBytes);
    const translation = new MetricsTranslation(bytes);
    open.set(id, { translation, batches: translation.batches() });
    post({ type: 'begun', id, bytes: bytes.length });
  }

  function proceed(id: number): void {
    const one = open.get(id);
    if (one === undefined) return; // Cancelled.
    const { done, value } = one.batches.next();
    if (done !== true) {
      const body = value.body.slice(); // What was given is written over by the next one.
      post({ type: 'batch', id, batch: { body, dataPoints: value.dataPoints } }, [body.buffer as ArrayBuffer]);
      return;
    }
    open.delete(id);
    const { dataPoints, byReason } = one.translation.refusals;
    post({ type: 'end', id, refusals: { dataPoints, byReason, text: one.translation.refusals.text() } });
  }
}

class TooLargeError extends Error {}

/** The body in its protobuf form. */
function messageOf({ bytes, format, encoding }: OtlpBody, limitBytes: number): Uint8Array {
  const plain = encoding === 'none' ? bytes : unpack(bytes, encoding, limitBytes);
  return format === 'protobuf' ? plain : transcodeJson(plain, EXPORT_REQUEST, limitBytes);
}

/** Stops at the limit: a body of some kilobytes may become gigabytes. */
function unpack(bytes: Uint8Array, encoding: 'gzip' | 'zstd', maxOutputLength: number): Uint8Array {
  const options = { maxOutputLength, chunkSize: CHUNK_BYTES };
  try {
    if (encoding === 'gzip') return gunzipSync(bytes, options);
    return zstdDecompressSync(bytes, { ...options, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw new TooLargeError();
    throw new StorageError('invalid', `the body cannot be decompressed: ${(error as Error).message}`, { cause: error });
  }
}
