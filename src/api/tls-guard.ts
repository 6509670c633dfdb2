/** What Node's TLS server does not do by itself: Go's kinds of client authentication, names of clients, new certificates. */
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import { type TlsOptions as NodeTlsOptions, TLSSocket } from 'node:tls';
import { sanRefusal, type TlsOptions } from '../web/tls-options.ts';

/** The options of a TLS server that asks its clients for what `tls` says. */
export function handshakeOptions(tls: TlsOptions): NodeTlsOptions {
  return { ...tls.context, ...clientAuthOptions(tls) };
}

/**
 * Refuses clients that `tls` does not let in, before their first request is read. `server` was made with its
 * handshakeOptions. The function that is returned puts other settings in their place, for connections that come later.
 */
export function guardTls(
  server: Server,
  tls: TlsOptions,
  onFailure: (reason: string) => void,
): (tls: TlsOptions) => void {
  let current = tls;
  // Before Node's own listener, which begins to read requests.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    const refusal = refusalOf(socket, current);
    if (refusal === undefined) return;
    onFailure(refusal);
    socket.destroy();
  });
  server.on('tlsClientError', (error) => onFailure(error.message));
  return (next) => {
    current = next;
    // With it come new keys for session tickets: no session goes on that the old settings let in.
    server.setSecureContext(next.context);
    // Node has no call for these two, and reads them at each connection.
    Object.assign(server, clientAuthOptions(next));
  };
}

/** Whether a socket is one whose TLS handshake has not ended: no HTTP answer can reach its client. Then it is closed. */
export function answersHandshake(socket: Socket): boolean {
  if (!(socket instanceof TLSSocket) || socket.getProtocol() !== null) return false;
  socket.destroy();
  return true;
}

function clientAuthOptions({ clientAuth }: TlsOptions): { requestCert: boolean; rejectUnauthorized: boolean } {
  return { requestCert: clientAuth !== 'none', rejectUnauthorized: clientAuth === 'require-and-verify' };
}

function refusalOf(socket: TLSSocket, { clientAuth, allowedSans }: TlsOptions): string | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) {
    const isRequired = clientAuth === 'require-any' || clientAuth === 'require-and-verify';
    return isRequired ? "a client's certificate is required" : undefined;
  }
  if ((clientAuth === 'verify-if-given' || clientAuth === 'require-and-verify') && !socket.authorized) {
    return `a client's certificate is not valid: ${socket.authorizationError}`;
  }
  return allowedSans && sanRefusal(certificate, allowedSans);
}
