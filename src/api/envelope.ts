/** Prometheus' JSON envelope. Source: prometheus web/api/v1/api.go. */
import type { FastifyReply } from 'fastify';
import type { ErrorAnswer } from './errors.ts';

const JSON_TYPE = 'application/json';

/** 200 with `data`, and `warnings` if there are any. */
export function sendSuccess(reply: FastifyReply, data: unknown, warnings: readonly string[] = []): FastifyReply {
  const envelope = { status: 'success', data, ...(warnings.length === 0 ? {} : { warnings }) };
  return reply.type(JSON_TYPE).send(JSON.stringify(envelope));
}

/** The answer to an error, with its status and headers, as the route writes errors. */
export function sendError(reply: FastifyReply, answer: ErrorAnswer, as: 'text' | 'json'): FastifyReply {
  reply.code(answer.status);
  if (answer.retryAfterS !== undefined) reply.header('retry-after', String(answer.retryAfterS));
  if (answer.headers !== undefined) reply.headers(answer.headers);
  if (as === 'text') return reply.type('text/plain; charset=utf-8').send(`${answer.message}\n`);
  const { errorType, message } = answer;
  return reply.type(JSON_TYPE).send(JSON.stringify({ status: 'error', errorType, error: message }));
}
