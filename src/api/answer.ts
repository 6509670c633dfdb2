/** Sends what a reader makes to the client as fast as the client takes it. */
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ReadAnswer } from '../read/pending-read.ts';
import type { ReadJob } from '../read/read-job.ts';
import { tenantOf } from '../tenants/tenant-id.ts';
import { accountOf } from './routes.ts';
import type { Service } from './service.ts';

/** What an answer is without. Remote read has no other place for it; the JSON envelope has it in `warnings` too. */
const WARNING_HEADER = 'x-varve-warning';
const MAX_HEADER_CHARACTERS = 1000;

/** The tenant whose samples a request reads. Throws TenantError. */
export function tenantOfRead(request: FastifyRequest, service: Service): string {
  return tenantOf({ headers: request.raw.headers, account: accountOf(request) }, service.settings);
}

/**
 * Runs a read and streams its answer. A client that goes away cancels it, one that stops taking is cut off by the reader
 * pool's rule. Rejects with what the pool refuses; once bytes are under way a failure can only break the connection off.
 */
export async function sendRead(
  tenant: string,
  job: ReadJob,
  { service, request, reply }: { service: Service; request: FastifyRequest; reply: FastifyReply },
): Promise<FastifyReply> {
  const cancel = new AbortController();
  reply.raw.once('close', () => {
    cancel.abort();
    if (!reply.raw.writableFinished) service.httpMetrics.countGone(request.routeOptions.config.routeName);
  });
  let answer: ReadAnswer;
  try {
    answer = await service.readers.run(tenant, job, {
      signal: cancel.signal,
      onStall: () => request.raw.socket.destroy(),
    });
  } catch (error) {
    // Nobody is there to hear of it, and it was counted above.
    if (cancel.signal.aborted) return reply.hijack();
    throw error;
  }
  reply.type(answer.contentType);
  for (const warning of answer.warnings) reply.header(WARNING_HEADER, headerText(warning));
  if (answer.contentEncoding !== undefined) reply.header('content-encoding', answer.contentEncoding);
  return reply.send(Readable.from(logged(answer.body, cancel.signal, service), { objectMode: false }));
}

/** As a header can hold it: visible ASCII on one line, and not without end. */
function headerText(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, MAX_HEADER_CHARACTERS);
}

/** The status is long sent when a body fails: only the log can say why it ends early. */
async function* logged(
  body: AsyncIterable<Uint8Array, void, undefined>,
  cancelled: AbortSignal,
  { log }: Service,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* body;
  } catch (error) {
    if (!cancelled.aborted)
      log.warn('an answer was cut short', { error: error instanceof Error ? error : String(error) });
    throw error;
  }
}
