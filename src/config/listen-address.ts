import type { ListenAddress } from './settings.ts';
import { ValueError } from './value-error.ts';

const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+(?:%[\w.]+)?)\]|([^\s:[\]/]*)):(\d{1,5})$/;

/** Reads `127.0.0.1:8470`, `localhost:0`, `[::1]:8470` or `:8470` (every interface). Throws ValueError. */
export function parseListenAddress(text: string): ListenAddress {
  const parts = ADDRESS.exec(text);
  const port = Number(parts?.[3]);
  if (parts === null || port > 65_535) throw new ValueError('want host:port, [IPv6]:port or :port, port 0 to 65535');
  return { host: parts[1] ?? parts[2] ?? '', port };
}

/** The address in the form that parseListenAddress reads. */
export function formatListenAddress({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Whether only this machine can reach the address. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** A URL of `address` that works on this machine, also where it stands for every interface. `routePrefix` is '' or `/path`. */
export function localUrl(
  { host, port }: ListenAddress,
  { routePrefix, scheme }: { routePrefix: string; scheme: 'http' | 'https' },
): string {
  const reachable = host === '' || host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${scheme}://${formatListenAddress({ host: reachable, port })}${routePrefix}`;
}
