/**
 * What an answer to remote write 2.0 says of what is written, so that its sender can tell. Of a 2xx all that the request
 * carried; of a 4xx what is stored all the same; zeros where nothing is known. Source: the remote write 2.0 specification.
 */
import type { FastifyReply } from 'fastify';
import type { WriteOutcome } from '../../storage/index.ts';

type Written = WriteOutcome['written'];

const NOTHING: Written = { samples: 0, histograms: 0, exemplars: 0 };

export function tellWritten(reply: FastifyReply, { samples, histograms, exemplars }: Written = NOTHING): void {
  reply.header('x-prometheus-remote-write-samples-written', samples);
  reply.header('x-prometheus-remote-write-histograms-written', histograms);
  reply.header('x-prometheus-remote-write-exemplars-written', exemplars);
}
