/** Request bodies as one buffer each, bounded one by one and all together. */
import type { Socket } from 'node:net';
import type { Readable, Transform } from 'node:stream';
import { constants, createZstdDecompress } from 'node:zlib';
import type { Clock } from '../../storage/index.ts';
import { badData, ClientGoneError, RequestError } from './errors.ts';

/** The largest body of a write, compressed; the engine has the same limit for what it unpacks to. */
export const WRITE_BODY_LIMIT_BYTES: number = 32 * 1024 * 1024;
/** Forms and remote-read queries: matchers and times, no samples. */
export const QUERY_BODY_LIMIT_BYTES: number = 1024 * 1024;

/** What a decoder hands on at once. */
export const DECODER_CHUNK_BYTES: number = 64 * 1024;
/** A zstd frame asks for the memory it wants, as a power of two; this is as much as a body may become. */
const ZSTD_WINDOW_LOG_MAX = 25;

/** Bodies that are unpacked at the same time; others wait packed, when they are small. */
const MAX_UNPACKING = 2;
/** How long a client that was refused may go on sending before its connection is cut. */
const LINGER_MS = 1000;
const OVERLOAD_RETRY_AFTER_S = 1;

/** Reads bodies and counts the bytes of all that are being read or worked on. */
export class RequestBodies {
  readonly #inFlightLimitBytes: number;
  readonly #waitingToUnpack: (() => void)[] = [];
  #inFlightBytes = 0;
  #unpacking = 0;

  /** Beyond `inFlightLimitBytes` further bodies are refused with 503; those already taken in are not affected. */
  constructor(inFlightLimitBytes: number) {
    this.#inFlightLimitBytes = inFlightLimitBytes;
  }

  /** Bytes read and not yet released. */
  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  /** Refuses by its declared length a body that would be refused anyway, before a byte of it is read. Throws RequestError. */
  admit(declaredLength: string | undefined, limitBytes: number): void {
    const declaredBytes = declaredLength === undefined ? 0 : Number(declaredLength);
    if (declaredBytes > limitBytes) throw tooLarge(limitBytes);
    // Declared bytes are not reserved: a client that declares and never sends would hold others out.
    if (this.#inFlightBytes + declaredBytes > this.#inFlightLimitBytes) throw overloaded(this.#inFlightLimitBytes);
  }

  /**
   * The whole body. Call `release` with it when the request is done with. Rejects with RequestError (413, 503) or
   * ClientGoneError, and then holds nothing.
   */
  read(request: Readable, limitBytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let length = 0;
      let settled = false;
      const refuse = (error: Error): void => {
        if (settled) return;
        settled = true;
        request.off('data', take);
        request.resume();
        this.#inFlightBytes -= length;
        reject(error);
      };
      const take = (chunk: Buffer): void => {
        length += chunk.length;
        this.#inFlightBytes += chunk.length;
        if (length > limitBytes) refuse(tooLarge(limitBytes));
        else if (this.#inFlightBytes > this.#inFlightLimitBytes) refuse(overloaded(this.#inFlightLimitBytes));
        else chunks.push(chunk);
      };
      request.on('data', take);
      request.once('end', () => {
        if (settled) return;
        settled = true;
        resolve(joined(chunks, length));
      });
      request.once('close', () => {
        // Every request is closed at last; an error with its stack is made only for one that ended too early.
        if (!settled) refuse(new ClientGoneError('the connection was closed within the body'));
      });
    });
  }

  /**
   * What a decoder (of `node:zlib`) makes of a body; to be released like one that was read. Waits for its turn, since a
   * body of some kilobytes may become one of the limit. Rejects with RequestError:
   * 400 if the decoder refuses it, 413 as soon as it is longer than the limit, 503; it then holds nothing.
   */
  async unpack(body: Buffer, decoder: () => Transform, limitBytes: number): Promise<Buffer> {
    if (this.#unpacking < MAX_UNPACKING) this.#unpacking++;
    else await new Promise<void>((resolve) => this.#waitingToUnpack.push(resolve));
    try {
      return await this.#decode(body, decoder(), limitBytes);
    } finally {
      const next = this.#waitingToUnpack.shift();
      if (next === undefined) this.#unpacking--;
      else next();
    }
  }

  #decode(body: Buffer, decoder: Transform, limitBytes: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      // Comes before the end of the stream, which `read` takes for a client that has gone.
      decoder.once('error', (error) => reject(badData(`the body cannot be decompressed: ${error.message}`)));
      this.read(decoder, limitBytes).then(resolve, (error: unknown) => {
        decoder.destroy();
        reject(error);
      });
      decoder.end(body);
    });
  }

  /** Counts further bytes that a request holds, until they are released. Throws RequestError (503) if they are too many. */
  hold(bytes: Length): void {
    if (this.#inFlightBytes + bytes.length > this.#inFlightLimitBytes) throw overloaded(this.#inFlightLimitBytes);
    this.#inFlightBytes += bytes.length;
  }

  /** Gives back the bytes of a body, or of what is held. */
  release(body: Length): void {
    this.#inFlightBytes -= body.length;
  }

  /** Releases a body that nothing looks at any more, not even another thread, and frees its memory: it is empty then. */
  free(body: Buffer): void {
    this.release(body);
    freeMemory(body);
  }
}

/** The pieces of a stream that has ended, as one. They are empty then, unless they are the one. */
function joined(pieces: readonly Buffer[], length: number): Buffer {
  if (pieces.length === 1) return pieces[0] as Buffer;
  const whole = Buffer.concat(pieces, length);
  for (const piece of pieces) freeMemory(piece);
  return whole;
}

/**
 * Gives the memory of a buffer back at once. Left to the garbage collector, some hundred large bodies make it go through
 * the whole heap, which costs more than what is done with them.
 */
function freeMemory({ buffer, byteLength }: Buffer): void {
  // A part of a pool is not ours alone.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

/** Bytes, or what stands for them when they were given away. */
interface Length {
  readonly length: number;
}

/** 413 for a body that is longer than it may be, as it comes or as it is unpacked to. */
export function tooLarge(limitBytes: number): RequestError {
  return new RequestError(413, `request body exceeds ${limitBytes} bytes`, { headers: { connection: 'close' } });
}

function overloaded(limitBytes: number): RequestError {
  const message = `too many request bytes in flight (limit ${limitBytes}); try again`;
  return new RequestError(503, message, { retryAfterS: OVERLOAD_RETRY_AFTER_S });
}

/**
 * Lets a client read the answer to a body that was refused half-way: the answer and our end of the connection go out
 * first, what still comes in is thrown away for a moment, then the connection is cut. Closed at once, the unread bytes
 * would make TCP reset the connection, and the client would often lose the answer. To be called before the answer is
 * sent, which must carry `Connection: close`.
 */
export function lingerBeforeClose(socket: Socket, clock: Clock): void {
  socket.destroySoon = () => {
    socket.end();
    const stop = clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', stop);
  };
}

/** Unpacks a zstd frame that wants no more memory than a body may have. */
export function zstdDecoder(): Transform {
  const params = { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX };
  return createZstdDecompress({ chunkSize: DECODER_CHUNK_BYTES, params });
}
