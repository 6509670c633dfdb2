import type { FastifyReply } from 'fastify';
import type { ServeSettings } from '../config/settings.ts';

/** Says in the answer to a write what a 2xx promises: `commit`, it is on disk; `interval`, it will be (--wal.sync). */
export function tellDurability(reply: FastifyReply, { walSync }: ServeSettings): void {
  reply.header('durability', walSync);
}
