/**
 * `varve healthcheck`: asks a server that has the same environment. It needs no secrets: with TLS it trusts the server's
 * own certificate, and with authentication the demand for credentials is an answer, too, since /-/healthy never says no.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { serveSettings } from '../config/flags.ts';
import { localUrl } from '../config/listen-address.ts';
import type { ListenAddress } from '../config/settings.ts';
import { type LoadedWebConfig, WebConfigFile } from '../web/web-config-file.ts';
import { readConfigFile } from './read-config-file.ts';

const TIMEOUT_MS = 3000;
/** Not the engine's: a health check does not load the engine. */
const clock = { nowMs: () => Date.now() };

/** What is asked, and what counts as an answer beside 200. */
export interface HealthQuestion {
  readonly url: URL;
  /** The server's web configuration; undefined for a server that somebody names: it has to answer 200. */
  readonly webConfig: LoadedWebConfig | undefined;
}

/** Where a server that has the same environment says whether it is healthy. Rejects with FlagError or ConfigError. */
export async function healthQuestion(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<HealthQuestion> {
  const settings = serveSettings({ commandLine: new Map(), environment, memoryBytes: 0 });
  const { webConfigFile: path, routePrefix } = settings;
  const { current } = await WebConfigFile.open({ path, readFile: readConfigFile, clock });
  const scheme = current.tls === undefined ? 'http' : 'https';
  const url = localUrl(settings.listenAddresses[0] as ListenAddress, { routePrefix, scheme });
  return { url: new URL(`${url}/-/healthy`), webConfig: current };
}

/** Whether the server answers in time that it is healthy; if not, standard error says why. */
export async function checkHealth(question: HealthQuestion): Promise<boolean> {
  const reason = await reasonForIllness(question).catch((error: Error) => `: ${error.message}`);
  if (reason !== undefined) process.stderr.write(`unhealthy: ${withoutPassword(question.url)}${reason}\n`);
  return reason === undefined;
}

async function reasonForIllness({ url, webConfig }: HealthQuestion): Promise<string | undefined> {
  const answer = await ask(url, webConfig?.tls?.fingerprint);
  if (answer === 'handshake') {
    // It wants a certificate of its clients, and this check has none.
    return webConfig?.tls?.clientAuth.startsWith('require') === true ? undefined : ': refused the connection';
  }
  const { status, text } = answer;
  if (status === 200 || (webConfig !== undefined && isRefusalOf(webConfig, status))) return undefined;
  return ` answers ${status} ${text.trim()}`;
}

/** What the gate before every route says by the configuration, to anybody: a sign of life. */
function isRefusalOf({ users, rateLimit }: LoadedWebConfig, status: number): boolean {
  return (status === 401 && users.size > 0) || (status === 429 && rateLimit !== undefined);
}

type Answer = { readonly status: number; readonly text: string } | 'handshake';

/**
 * One GET. With a `fingerprint` the server has to show that very certificate, and no name in it matters; 'handshake': it
 * speaks TLS, but not with us.
 */
function ask(url: URL, fingerprint: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    let isShown = false;
    const asking = request(url, {
      ...(fingerprint === undefined ? {} : { rejectUnauthorized: false }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    asking.once('socket', (socket) => {
      socket.once('secureConnect', () => {
        if (fingerprint === undefined) return;
        isShown = (socket as TLSSocket).getPeerX509Certificate()?.fingerprint256 === fingerprint;
        if (!isShown) asking.destroy(new Error("the server's certificate is not the one of --web.config.file"));
      });
    });
    asking.once('error', (error: NodeJS.ErrnoException) => {
      const isClosed = error.code === 'ECONNRESET' || error.code === 'EPIPE';
      // TLS 1.2 refuses within the handshake, by an alert; TLS 1.3 after it.
      const isRefused = / alert /.test(error.message) || (isShown && isClosed);
      if (fingerprint !== undefined && isRefused) resolve('handshake');
      else reject(error);
    });
    asking.once('response', (response) => resolve(answerOf(response)));
    asking.end();
  });
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk as string;
  return { status: response.statusCode ?? 0, text };
}

function withoutPassword(url: URL): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}
