/** Prometheus' JSON envelope, and how errors are written. Source: prometheus web/api/v1/api.go. */
import type { FastifyReply } from 'fastify';
import { errorStatus } from '../ingest/otlp-answer.ts';
import type { ErrorAnswer } from './errors.ts';
import { MEDIA_TYPES, otlpFormat } from './otlp-headers.ts';

/** Plain text, Prometheus' JSON envelope, or OTLP's Status in the form of the request. */
export type ErrorForm = 'text' | 'json' | 'otlp';

/** Sends `value` as JSON, as bytes: to text Fastify would add a charset, which JSON does not have. */
function sendJson(reply: FastifyReply, value: unknown): FastifyReply {
  return reply.type('application/json').send(Buffer.from(JSON.stringify(value)));
}

/** 200 with `data`, and `warnings` if there are any. */
export function sendSuccess(reply: FastifyReply, data: unknown, warnings: readonly string[] = []): FastifyReply {
  const envelope = { status: 'success', data, ...(warnings.length === 0 ? {} : { warnings }) };
  return sendJson(reply, envelope);
}

/** The answer to an error, with its status and headers, as the route writes errors. */
export function sendError(reply: FastifyReply, answer: ErrorAnswer, as: ErrorForm): FastifyReply {
  reply.code(answer.status);
  if (answer.retryAfterS !== undefined) reply.header('retry-after', String(answer.retryAfterS));
  if (answer.headers !== undefined) reply.headers(answer.headers);
  const format = as === 'otlp' ? otlpFormat(reply.request.raw.headers['content-type']) : undefined;
  if (format !== undefined) return reply.type(MEDIA_TYPES[format]).send(errorStatus(answer.message, format));
  if (as !== 'json') return reply.type('text/plain; charset=utf-8').send(`${answer.message}\n`);
  const { errorType, message } = answer;
  return sendJson(reply, { status: 'error', errorType, error: message });
}
