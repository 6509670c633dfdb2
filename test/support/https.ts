/** One request over TLS, for what fetch cannot be told: which CA to trust, which certificate to show, which version. */
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import type { SecureVersion, TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.ts';

export interface HttpsOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** File of the CA that signs the server. */
  readonly ca: string;
  /** What the client shows. */
  readonly client?: Certificate;
  readonly version?: SecureVersion;
  readonly ciphers?: string;
}

export interface HttpsAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly protocol: string | null;
  readonly cipher: string;
  readonly serverSerial: string;
}

/** Sends it on a connection of its own. Rejects if TLS or the connection fails. */
export function https(url: string, options: HttpsOptions): Promise<HttpsAnswer> {
  const { method = 'GET', headers = {}, body, ca, client, version, ciphers } = options;
  return new Promise((resolve, reject) => {
    const asking = request(url, {
      method,
      headers: { ...headers },
      agent: false,
      ca: readFileSync(ca),
      ...(client === undefined ? {} : { cert: readFileSync(client.certFile), key: readFileSync(client.keyFile) }),
      ...(version === undefined ? {} : { minVersion: version, maxVersion: version }),
      ...(ciphers === undefined ? {} : { ciphers }),
    });
    asking.once('error', reject);
    asking.once('response', (response) => {
      const socket = response.socket as TLSSocket;
      const protocol = socket.getProtocol();
      const cipher = socket.getCipher().name;
      const serverSerial = socket.getPeerX509Certificate()?.serialNumber ?? '';
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.once('error', reject);
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, text, headers: response.headers, protocol, cipher, serverSerial });
      });
    });
    asking.end(body);
  });
}

/** The value of `Authorization` for a user. */
export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}
