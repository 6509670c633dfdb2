import { serveSettings } from '../config/flags.ts';
import { localUrl } from '../config/listen-address.ts';
import type { ListenAddress } from '../config/settings.ts';

const TIMEOUT_MS = 3000;

/** Where a server that has the same environment says whether it is healthy. Throws FlagError. */
export function healthUrl(environment: Readonly<Record<string, string | undefined>>): string {
  const settings = serveSettings({ commandLine: new Map(), environment, memoryBytes: 0 });
  return `${localUrl(settings.listenAddresses[0] as ListenAddress, settings.routePrefix)}/-/healthy`;
}

/** Whether `url` answers 200 in time; if not, standard error says why. */
export async function checkHealth(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = await response.text();
    if (response.ok) return true;
    process.stderr.write(`unhealthy: ${url} answers ${response.status} ${text.trim()}\n`);
  } catch (error) {
    const { message, cause } = error as Error;
    process.stderr.write(`unhealthy: ${url}: ${cause instanceof Error ? cause.message : message}\n`);
  }
  return false;
}
