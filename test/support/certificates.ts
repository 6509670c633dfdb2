/** Certificates of a CA of their own, made by openssl: not by anything of ours. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TemporaryDirectory } from './temporary-directory.ts';

export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface CertificateOptions {
  /** `DNS:a,IP:1.2.3.4,URI:…,email:…` */
  readonly names?: string;
  /** When it expires: days from now, negative for one that has. */
  readonly days?: number;
  /** By default this CA signs it. */
  readonly signer?: Certificates;
}

/** A CA in a temporary directory. Files other than certificates may be put beside them. */
export class Certificates implements Disposable {
  readonly #directory = new TemporaryDirectory('certificates');
  readonly ca: Certificate;

  constructor() {
    this.ca = { certFile: this.path('ca.crt'), keyFile: this.path('ca.key') };
    const subject = ['-subj', '/CN=test CA', '-days', '2'];
    openssl('req', '-x509', ...NEW_KEY, '-keyout', this.ca.keyFile, '-out', this.ca.certFile, ...subject);
  }

  path(name: string): string {
    return join(this.#directory.path, name);
  }

  write(name: string, text: string, mode = 0o600): string {
    writeFileSync(this.path(name), text, { mode });
    return this.path(name);
  }

  /** Makes `<name>.crt` and `<name>.key`; in the place of what is there. */
  make(name: string, { names = 'IP:127.0.0.1', days = 2, signer = this }: CertificateOptions = {}): Certificate {
    const [certFile, keyFile, request] = [this.path(`${name}.crt`), this.path(`${name}.key`), this.path(`${name}.csr`)];
    openssl('req', '-new', ...NEW_KEY, '-keyout', keyFile, '-out', request, '-subj', `/CN=${name}`);
    const extensions = this.write(`${name}.ext`, `subjectAltName=${names}\n`);
    const { certFile: ca, keyFile: caKey } = signer.ca;
    const signed = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-extfile', extensions, '-days', String(days)];
    openssl('x509', '-req', '-in', request, '-out', certFile, ...signed);
    return { certFile, keyFile };
  }

  [Symbol.dispose](): void {
    this.#directory[Symbol.dispose]();
  }
}

/** The text of a certificate's file. */
export function pem(file: string): string {
  return readFileSync(file, 'utf8');
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'pipe' });
}
