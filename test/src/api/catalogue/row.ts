/**
 * What a row of the catalogue of bad input is: what is sent, what is answered, what is counted and what is stored by it.
 * Rows are numbered as in the project's reference of failures: B1 to B57 are the ways in.
 */
import { compressSync, uncompressSync } from 'snappy';
import type { Database } from '../../../../storage/index.ts';
import { writeRequest } from '../../../support/remote-write.ts';
import { bitsOf, type LabelPairs, labelText, SampleList, type SeriesMap, type Value } from '../../../support/series.ts';
import { exchange, type RunningServer, statusOf, write } from '../serve.ts';

export const MIB: number = 1024 * 1024;
/** The newest sample of a row is never later than when it was made. */
export const nowMs: number = Date.now();
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
/** The external label of the servers that the rows meet. */
export const REPLICA = ['replica', 'r1'] as const;

export type Body = Buffer<ArrayBuffer>;

/** The server that a row meets, and a tenant that nobody else has. */
export interface Target {
  readonly api: RunningServer & { readonly database: Database };
  readonly tenant: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
}

/** Samples by what became of them, as the counters of all tenants together have it. */
export interface Counts {
  readonly stored?: number;
  readonly duplicate?: number;
  readonly conflicting?: number;
  readonly rejected?: Readonly<Record<string, number>>;
}

/** Series with their samples in time order. */
export type Content = readonly (readonly [
  labels: LabelPairs,
  samples: readonly (readonly [ms: number, value: Value])[],
])[];

export interface Row {
  /** 1 is B1. */
  readonly b: number;
  /** Which server; an open one if not given. */
  readonly server?: ServerName;
  /** One of its own if not given. */
  readonly tenant?: string;
  readonly what: string;
  readonly send: (target: Target) => Promise<Answer | string>;
  readonly status: number;
  /** What the answer says; nothing if not given. */
  readonly text?: RegExp;
  readonly header?: readonly [name: string, value: RegExp];
  /** The headers of remote write 2.0 that say what is written; none of them if not given. */
  readonly written?: readonly [samples: number, histograms: number, exemplars: number];
  /** What is counted; nothing if not given. */
  readonly counts?: Counts;
  /** What a read of the tenant shows afterwards; nothing if not given. */
  readonly content?: Content;
}

/**
 * open: for everyone. named: who writes has to name a tenant. locked: who comes in has to know a password. hasty: who
 * comes in has to be quick.
 */
export type ServerName = 'open' | 'named' | 'locked' | 'hasty';

/** What of an answer is compared, whether it came through fetch or as bytes. */
export function answerOf(answer: Answer | string): Answer {
  if (typeof answer !== 'string') return answer;
  const end = answer.indexOf('\r\n\r\n');
  const headers = new Headers();
  for (const line of answer.slice(0, end).split('\r\n').slice(1)) {
    const colon = line.indexOf(':');
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { status: statusOf(answer), text: answer.slice(end + 4), headers };
}

export function seriesMap(content: Content): SeriesMap {
  return new Map(
    content.map(([labels, samples]) => {
      const list = new SampleList();
      for (const [ms, value] of samples) list.push(ms, bitsOf(value));
      const isHidden = ([name]: readonly [string, string]): boolean => name === REPLICA[0];
      return [labelText([...labels.filter((label) => !isHidden(label)), REPLICA]), list];
    }),
  );
}

export function snappy(bytes: Uint8Array): Body {
  return compressSync(bytes as Buffer) as Body;
}

export function unpacked(body: Uint8Array): Body {
  return uncompressSync(body as Buffer) as Body;
}

export function bytes(...parts: (number | readonly number[] | string | Uint8Array)[]): Body {
  return Buffer.concat(
    parts.map((part) =>
      typeof part === 'string' ? Buffer.from(part) : Buffer.from(typeof part === 'number' ? [part] : part),
    ),
  ) as Body;
}

/** POSTs a body as a sender of the row's tenant. */
export function post(body: Body, headers: Record<string, string> = {}, path = '/api/v1/write'): Row['send'] {
  return ({ api, tenant }) => write(api.url, body, { path, headers: { 'x-scope-orgid': tenant, ...headers } });
}

/** POSTs bodies one after the other; the answer is the last one's. */
export function postAll(...bodies: readonly Body[]): Row['send'] {
  return async (target) => {
    let answer: Answer | string = '';
    for (const body of bodies) answer = await post(body)(target);
    return answer;
  };
}

export const WRITE_HEAD =
  'POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n';

/** Sends bytes as they are; a function gets the head that names the row's tenant. */
export function raw(parts: (head: string) => Iterable<string | Uint8Array>): Row['send'] {
  return ({ api, tenant }) => exchange(api.port, parts(`${WRITE_HEAD}X-Scope-OrgID: ${tenant}\r\n`));
}

/** A request of one series. */
export function request(labels: LabelPairs, ...samples: readonly (readonly [ms: number, value: Value])[]): Body {
  return writeRequest([{ labels, samples }]);
}

export const GOOD: LabelPairs = [['__name__', 'good']];
/** A request that is stored if anything of it is. */
export const goodRequest: Body = request(GOOD, [nowMs, 1]);
export const goodContent: Content = [[GOOD, [[nowMs, 1]]]];
