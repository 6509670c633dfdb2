/** promtool's view of TSDB blocks on disk. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Runs promtool and gives its output line by line; throws with what it wrote to stderr if it fails. */
export async function* promtool(...args: readonly string[]): AsyncGenerator<string> {
  const child = spawn('promtool', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => {
    complaint += text.toString('utf8');
  });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  yield* createInterface({ input: child.stdout });
  const code = await closed;
  if (code !== 0) throw new Error(`promtool ${args.join(' ')}: exit ${code}: ${complaint}`);
}

/** A block as `promtool tsdb list` knows it. */
export interface ListedBlock {
  readonly ulid: string;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly samples: number;
  readonly chunks: number;
  readonly series: number;
}

/** The blocks of a TSDB directory. */
export async function listBlocks(directory: string): Promise<ListedBlock[]> {
  const blocks: ListedBlock[] = [];
  for await (const line of promtool('tsdb', 'list', directory)) {
    const [ulid, minTime, maxTime, , samples, chunks, series] = line.trim().split(/\s+/);
    if (!/^[0-9A-Z]{26}$/.test(ulid ?? '')) continue;
    blocks.push({
      ulid: ulid as string,
      minTimeMs: Number(minTime),
      maxTimeMs: Number(maxTime),
      samples: Number(samples),
      chunks: Number(chunks),
      series: Number(series),
    });
  }
  return blocks;
}

/** The numbers of `promtool tsdb analyze` for one block, by their titles. */
export async function analyzeBlock(directory: string, ulid: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const line of promtool('tsdb', 'analyze', directory, ulid)) {
    const match = /^([A-Z][\w ]+): (.*)$/.exec(line);
    if (match !== null) found.set(match[1] as string, match[2] as string);
  }
  return found;
}

/**
 * Every sample of a TSDB directory as `promtool tsdb dump` writes it: the series' labels in Prometheus's notation, the
 * value (a number: payloads of NaN are not in the text) and the time.
 */
export async function* dumpSamples(
  directory: string,
): AsyncGenerator<readonly [labels: string, value: number, timestampMs: number]> {
  for await (const line of promtool('tsdb', 'dump', directory)) {
    const time = line.lastIndexOf(' ');
    const value = line.lastIndexOf(' ', time - 1);
    yield [line.slice(0, value), goFloat(line.slice(value + 1, time)), Number(line.slice(time + 1))];
  }
}

function goFloat(text: string): number {
  if (text === '+Inf') return Infinity;
  return text === '-Inf' ? -Infinity : Number(text);
}
