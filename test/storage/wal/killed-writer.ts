/** A program to be killed: recovers a log, goes on with it, and prints each sequence once it is durable. */
import { moduleUrl, workerExecutor } from '../../../storage/io/executor.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import type { WalThreadInit, WalThreadMessage } from '../../../storage/wal/wal-thread.ts';
import { payloadOf, Ring, recover } from './log.ts';

const dataDirectory = process.argv[2] as string;
const { report } = recover(nodeFileSystem, dataDirectory);
const ring = new Ring(65_536);
ring.nextSequence = report.nextSequence;
ring.generation = report.nextGeneration;

/** Positions of the ring and the sequence that ends there. */
const waiting: { position: number; sequence: number }[] = [];

function fillRing(): void {
  for (let i = 0; i < 5 && ring.freeBytes > 1000; i++) {
    const sequence = ring.append(payloadOf(ring.nextSequence, 900));
    waiting.push({ position: ring.word('head'), sequence });
  }
}

const { memory, addresses } = ring;
const init: WalThreadInit = {
  dataDirectory,
  memory,
  addresses,
  segmentBytes: 100_000,
  firstSegment: report.nextSegment,
  syncIntervalMs: 0,
};
const base = new URL('../../../storage/wal/committer.ts', import.meta.url);
const port = workerExecutor.start(moduleUrl('./wal-thread', base.href), init);
port.onMessage((message) => {
  const { durable } = message as Extract<WalThreadMessage, { durable: number }>;
  const done = waiting.findIndex(({ position }) => position === durable);
  for (const { sequence } of waiting.splice(0, done + 1)) process.stdout.write(`${sequence}\n`);
  fillRing();
});
fillRing();
// The thread alone does not keep the program alive.
setInterval(() => {}, 1000);
