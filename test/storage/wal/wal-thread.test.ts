import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { moduleUrl, type Port, workerExecutor } from '../../../storage/io/executor.ts';
import { nodeFileSystem } from '../../../storage/io/node-file-system.ts';
import type { WalThreadInit, WalThreadMessage } from '../../../storage/wal/wal-thread.ts';
import { until } from '../../support/until.ts';
import { payloadOf, Ring, range, recover } from './log.ts';

let dataDirectory: string;
beforeEach(() => {
  dataDirectory = mkdtempSync(join(tmpdir(), 'varve-wal-'));
});
afterEach(() => rmSync(dataDirectory, { recursive: true }));

/** The main thread's end, with every message so far. */
class Thread {
  readonly messages: WalThreadMessage[] = [];
  readonly #port: Port;
  readonly #waiting: (() => void)[] = [];

  constructor(init: WalThreadInit) {
    const base = new URL('../../../storage/wal/committer.ts', import.meta.url);
    this.#port = workerExecutor.start(moduleUrl('./wal-thread', base.href), init);
    this.#port.onMessage((message) => {
      this.messages.push(message as WalThreadMessage);
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  async until(found: (message: WalThreadMessage) => boolean): Promise<WalThreadMessage> {
    for (;;) {
      const message = this.messages.find(found);
      if (message !== undefined) return message;
      await new Promise<void>((wake) => this.#waiting.push(wake));
    }
  }

  close(): void {
    this.#port.close();
  }
}

function startThread(ring: Ring, overrides: Partial<WalThreadInit> = {}): Thread {
  const { memory, addresses } = ring;
  return new Thread({
    dataDirectory,
    memory,
    addresses,
    segmentBytes: 16_384,
    firstSegment: 1,
    syncIntervalMs: 0,
    ...overrides,
  });
}

function stop(ring: Ring): void {
  Atomics.store(ring.words, ring.addresses.stop >> 2, 1);
  Atomics.notify(ring.words, ring.addresses.head >> 2);
  Atomics.notify(ring.words, ring.addresses.stop >> 2);
}

test('a real thread on the real disk makes durable what is put in, and finishes when told', async () => {
  const ring = new Ring(8192, 2 ** 32 - 5000);
  const thread = startThread(ring);
  for (let i = 0; i < 300; i++) {
    ring.append(payloadOf(ring.nextSequence, 100 + (i % 50)));
    const position = ring.word('head');
    if (ring.freeBytes < 1000) await thread.until((message) => 'durable' in message && message.durable === position);
  }
  stop(ring);
  await thread.until((message) => 'stopped' in message);
  thread.close();
  expect(thread.messages.some((message) => 'failing' in message || 'failed' in message)).toBe(false);
  expect(ring.word('tail')).toBe(ring.word('head'));
  const { sequences, payloads, report } = recover(nodeFileSystem, dataDirectory);
  expect(sequences).toEqual(range(1, 300));
  expect(payloads.get(300)).toEqual(payloadOf(300, 149));
  expect(report).toMatchObject({ damages: [], gaps: [], tornTails: [] });
  expect(report.nextSegment).toBeGreaterThan(2);
});

test('a directory that cannot be written is tried again until it can', async () => {
  const ring = new Ring(8192);
  const later = join(dataDirectory, 'later');
  nodeFileSystem.open(later, 'create').close();
  const thread = startThread(ring, { dataDirectory: later });
  ring.append(payloadOf(1));
  const { failing } = (await thread.until((message) => 'failing' in message)) as { failing: string };
  expect(failing).toContain('later');
  expect(ring.word('state')).toBe(1);
  nodeFileSystem.remove(later);
  nodeFileSystem.makeDirectory(later);
  await thread.until((message) => 'recovered' in message);
  expect(ring.word('state')).toBe(0);
  stop(ring);
  await thread.until((message) => 'stopped' in message);
  thread.close();
  expect(recover(nodeFileSystem, later).sequences).toEqual([1]);
});

test('a bug ends the thread with its text', async () => {
  const ring = new Ring(8192);
  const thread = startThread(ring, { segmentBytes: 100 });
  Atomics.store(ring.words, ring.addresses.head >> 2, 500);
  Atomics.notify(ring.words, ring.addresses.head >> 2);
  const { failed } = (await thread.until((message) => 'failed' in message)) as { failed: string };
  expect(failed).toContain('no frame in the ring');
  thread.close();
});

test('a writer that is killed again and again loses nothing it was told is durable, and doubles nothing', async () => {
  let acknowledged = 0;
  for (let round = 0; round < 8; round++) {
    const writer = spawn(process.execPath, [
      fileURLToPath(new URL('./killed-writer.ts', import.meta.url)),
      dataDirectory,
    ]);
    writer.stderr.pipe(process.stderr);
    const exit = once(writer, 'exit');
    let lines = 0;
    for await (const line of createInterface(writer.stdout)) {
      acknowledged = Number(line);
      if (++lines > 3 + round * 5) writer.kill('SIGKILL');
    }
    await exit;
    const { sequences, payloads, report } = recover(nodeFileSystem, dataDirectory);
    expect(sequences.length).toBeGreaterThanOrEqual(acknowledged);
    expect(sequences).toEqual(range(1, sequences.length));
    for (const sequence of sequences) expect(payloads.get(sequence)).toEqual(payloadOf(sequence, 900));
    expect(report).toMatchObject({ damages: [], gaps: [], nextGeneration: round + 2 });
  }
  expect(acknowledged).toBeGreaterThan(100);
});

test('two spare segments lie ready on disk after the first commit, without another', async () => {
  const ring = new Ring(8192);
  const thread = startThread(ring);
  ring.append(payloadOf(1));
  await thread.until((message) => 'durable' in message);
  const spares = ['.spare', '.spare-2'].map((name) => join(dataDirectory, 'wal', name));
  await until('two spares', () => spares.every((path) => existsSync(path) && readFileSync(path).length === 16_384));
  stop(ring);
  await thread.until((message) => 'stopped' in message);
  thread.close();
  expect(readFileSync(join(dataDirectory, 'wal/00000001')).length).toBe(32 + 24 + 20);
});
