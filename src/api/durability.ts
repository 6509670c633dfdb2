import type { FastifyReply } from 'fastify';
import type { ServeSettings } from '../config/settings.ts';

/**
 * Says in the answer to a write what a 2xx promises: `bucket`, it is in the bucket (--wal.ack); `commit`, it is on disk;
 * `interval`, it will be (--wal.sync).
 */
export function tellDurability(reply: FastifyReply, { walAck, walSync }: ServeSettings): void {
  reply.header('durability', walAck === 'bucket' ? walAck : walSync);
}
