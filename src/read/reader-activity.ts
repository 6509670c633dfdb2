/** The activity of a reader thread: sees the head through shared memory and blocks through its own file handles. */
import { openReader, type Port, type ReaderInit, type World } from '../../storage/index.ts';
import type { ReadLimits } from './read-job.ts';
import { serveReads } from './read-server.ts';

/** What a reader thread starts with; survives a structured clone. */
export interface ReaderActivityInit {
  readonly reader: ReaderInit;
  readonly limits: ReadLimits;
}

/** Called by the executor on the new thread. */
export function run(port: Port, init: ReaderActivityInit, world: World): void {
  serveReads(port, openReader(init.reader, world), init.limits);
}
