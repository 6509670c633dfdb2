/** Prometheus' JSON envelope. Source: prometheus web/api/v1/api.go. */
import type { FastifyReply } from 'fastify';
import type { ErrorAnswer } from './errors.ts';

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
export function sendError(reply: FastifyReply, answer: ErrorAnswer, as: 'text' | 'json'): FastifyReply {
  reply.code(answer.status);
  if (answer.retryAfterS !== undefined) reply.header('retry-after', String(answer.retryAfterS));
  if (answer.headers !== undefined) reply.headers(answer.headers);
  if (as === 'text') return reply.type('text/plain; charset=utf-8').send(`${answer.message}\n`);
  const { errorType, message } = answer;
  return sendJson(reply, { status: 'error', errorType, error: message });
}
