/** What `varve serve` says on standard output: where it is, how to send to it, and that data has come in. */
import type { FirstWrite } from '../api/service.ts';
import { formatSize } from '../config/units.ts';

/** What the banner shows; paths are absolute. */
export interface BannerFacts {
  readonly version: string;
  readonly readyAfterMs: number;
  /** Where it listens, as URLs; at least one. */
  readonly addresses: readonly string[];
  /** The URL that a Prometheus should use, without a slash at its end. */
  readonly url: string;
  /** The snippet has to say who asks. */
  readonly needsPassword: boolean;
  readonly dataDirectory: string;
  readonly bucket: string;
  readonly memoryBudgetBytes: number;
}

/** The text printed when the server is ready. The snippet stands at the margin, so that it can be pasted as it is. */
export function banner(facts: BannerFacts): string {
  const credentials = facts.needsPassword ? '\n    basic_auth: {username: <user>, password_file: <file>}' : '';
  return `Varve ${facts.version}, ready after ${(facts.readyAfterMs / 1000).toFixed(2)} s
  address  ${facts.addresses.join(', ')}
  data     ${facts.dataDirectory}
  bucket   ${facts.bucket}
  memory   ${formatSize(facts.memoryBudgetBytes)} for what is not in blocks yet

Add to prometheus.yml:

remote_write:
  - url: ${facts.url}/api/v1/write${credentials}
remote_read:
  - url: ${facts.url}/api/v1/read${credentials}

waiting for the first sample …
`;
}

/** The lines printed once, after the first write since the start was acknowledged. */
export function firstWriteText(write: FirstWrite): string {
  const { outcome, tenant, durableAfterMs } = write;
  const sender = `${write.remoteAddress} (${printable(write.userAgent) || 'no user agent'})`;
  const rejected = outcome.rejected === 0 ? '' : `  ${printable(outcome.message)}\n`;
  return `first write from ${sender}, tenant ${tenant}
  ${counted(outcome.stored, 'sample')} stored, ${outcome.newSeries} new series, ${outcome.rejected} rejected, on disk after ${durableAfterMs.toFixed(1)} ms
${rejected}`;
}

const SHOWN_CHARACTERS = 200;

/** What a sender says, without what could move the cursor of a terminal, and cut. */
function printable(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, '?').slice(0, SHOWN_CHARACTERS);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
