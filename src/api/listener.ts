/** One listening socket: Node's HTTP or HTTPS server with our limits, and answers to what is not even a request. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Clock } from '../../storage/index.ts';
import { formatListenAddress } from '../config/listen-address.ts';
import type { ListenAddress } from '../config/settings.ts';
import type { TlsOptions } from '../web/tls-options.ts';
import { WRITE_BODY_LIMIT_BYTES } from './request-body.ts';
import { answersHandshake, guardTls, handshakeOptions } from './tls-guard.ts';

const HEADERS_MAX_BYTES = 16 * 1024;
/** How long a client may take. */
export interface RequestTimeouts {
  /** For the head of a request. */
  readonly headersMs: number;
  /** For all of it. */
  readonly requestMs: number;
  /** How often it is looked. */
  readonly checkMs: number;
}

const REQUEST_TIMEOUTS: RequestTimeouts = { headersMs: 10_000, requestMs: 30_000, checkMs: 1000 };
/** Longer than the 5 minutes after which Go's clients, Prometheus among them, close an idle connection themselves. */
const KEEP_ALIVE_MS = 360_000;
/** How often connections that fell idle are closed while a listener drains. */
const DRAIN_CHECK_MS = 50;

export interface ListenerOptions {
  readonly address: ListenAddress;
  readonly clock: Clock;
  /** undefined: plain HTTP. */
  readonly tls: TlsOptions | undefined;
  readonly timeouts?: RequestTimeouts | undefined;
  /** Calls `pass` for what may become a request, and answers the rest. */
  readonly admit: (request: IncomingMessage, response: ServerResponse, pass: () => void) => void;
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** A TLS connection did not come to be. */
  readonly onHandshakeFailure: (reason: string) => void;
  /** Something that is no request was answered with `status`. */
  readonly onMalformed: (status: number) => void;
}

export class Listener {
  /** With the port that was taken if any would do. */
  readonly address: ListenAddress;
  readonly #server: Server;
  readonly #renewTls: (tls: TlsOptions) => void;
  readonly #sockets: Set<Socket>;
  readonly #clock: Clock;

  private constructor({ server, renewTls }: BareServer, sockets: Set<Socket>, options: ListenerOptions) {
    this.#server = server;
    this.#renewTls = renewTls;
    this.#sockets = sockets;
    this.#clock = options.clock;
    this.address = { host: options.address.host, port: (server.address() as AddressInfo).port };
  }

  /** Binds the address. Rejects with an Error that names it. */
  static open(options: ListenerOptions): Promise<Listener> {
    const { address, admit, onRequest } = options;
    const bare = createBareServer(options);
    const { server } = bare;
    server.on('request', (request, response) => admit(request, response, () => onRequest(request, response)));
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) =>
      admit(request, response, () => {
        // A body that is refused by its declared length is refused before the client sends it.
        if (!(Number(request.headers['content-length']) > WRITE_BODY_LIMIT_BYTES)) response.writeContinue();
        onRequest(request, response);
      }),
    );
    server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      if (answersHandshake(socket)) return;
      const status = answerMalformed(error, socket);
      if (status !== undefined) options.onMalformed(status);
    });
    const sockets = new Set<Socket>();
    const keep = (socket: Socket): void => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    };
    server.on('connection', keep);
    // Of a TLS connection both: the one below has read the handshake, and only the other knows whether a request came.
    server.on('secureConnection', keep);
    return new Promise((resolve, reject) => {
      server.once('error', (cause) => {
        reject(new Error(`cannot listen on ${formatListenAddress(address)}: ${cause.message}`, { cause }));
      });
      const listening = (): void => resolve(new Listener(bare, sockets, options));
      if (address.host === '') server.listen(address.port, listening);
      else server.listen(address.port, address.host, listening);
    });
  }

  /** From the next connection on; without TLS nothing changes. */
  renewTls(tls: TlsOptions): void {
    this.#renewTls(tls);
  }

  /** Takes no more connections, lets requests end for `drainMs` and then cuts those that are left. */
  close(drainMs: number): Promise<void> {
    const stopChecking = this.#clock.every(DRAIN_CHECK_MS, () => this.#closeUnused());
    const stopWaiting = this.#clock.after(drainMs, () => this.#server.closeAllConnections());
    this.#closeUnused();
    return new Promise((resolve) => {
      this.#server.close(() => {
        stopChecking();
        stopWaiting();
        resolve();
      });
    });
  }

  /** Closes connections between two requests, and those on which none ever came; Node's own call leaves the latter. */
  #closeUnused(): void {
    this.#server.closeIdleConnections();
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}

interface BareServer {
  readonly server: Server;
  readonly renewTls: (tls: TlsOptions) => void;
}

function createBareServer({ tls, timeouts = REQUEST_TIMEOUTS, onHandshakeFailure }: ListenerOptions): BareServer {
  const limits = {
    maxHeaderSize: HEADERS_MAX_BYTES,
    headersTimeout: timeouts.headersMs,
    requestTimeout: timeouts.requestMs,
    connectionsCheckingInterval: timeouts.checkMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
  };
  if (tls === undefined) return { server: createServer(limits), renewTls: () => {} };
  const server = createTlsServer({ ...limits, handshakeTimeout: timeouts.headersMs, ...handshakeOptions(tls) });
  return { server, renewTls: guardTls(server, tls, onHandshakeFailure) };
}

const STATUS_TEXT: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
};

/** Answers bytes that Node's parser refused, or that did not come in time, and closes. Returns the status, if one was sent. */
function answerMalformed(error: NodeJS.ErrnoException, socket: Socket): number | undefined {
  if (error.code === 'ECONNRESET' || !socket.writable || answerHasBegun(socket)) {
    socket.destroy();
    return undefined;
  }
  const status = statusOfParserError(error.code);
  const reason = STATUS_TEXT[status];
  const text = `${reason}: ${status === 408 ? 'the request did not come in time' : error.message}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n` +
      `Connection: close\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    () => socket.destroy(),
  );
  return status;
}

/** Node keeps the response of a socket in a field of its own, and offers no other way to see it. */
function answerHasBegun(socket: Socket & { _httpMessage?: ServerResponse | null }): boolean {
  return socket._httpMessage?.headersSent === true;
}

function statusOfParserError(code: string | undefined): number {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 413;
  return 400;
}
