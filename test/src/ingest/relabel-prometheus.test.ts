/** The same rules in Debian's Prometheus, as write_relabel_configs: what it sends is what ours makes of its series. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { uncompressSync } from 'snappy';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { relabel } from '../../../src/ingest/relabel.ts';
import { parseRelabelConfig } from '../../../src/ingest/relabel-config.ts';
import type { PlainRule } from '../../support/oracle/relabel.ts';
import { peers } from '../../support/peers.ts';
import { Prometheus } from '../../support/prometheus.ts';
import { WriteRequest } from '../../support/protocol.ts';
import { randomLabelSet, randomRule } from '../../support/relabel-rules.ts';
import { Seeded } from '../../support/seeded.ts';
import { until } from '../../support/until.ts';

const RULE_SETS = 60;
const SERIES = 40;

/** Answers scrapes with `exposition`, and collects label sets that are written to `/<number>`. */
class Endpoint implements AsyncDisposable {
  readonly received = new Map<string, Set<string>>();
  scrapes = 0;
  readonly #server;

  constructor(exposition: string) {
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        if (request.method === 'GET') {
          this.scrapes++;
          response.setHeader('Content-Type', 'text/plain; version=0.0.4').end(exposition);
          return;
        }
        this.#collect(request.url ?? '', Buffer.concat(pieces));
        response.writeHead(204).end();
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #collect(path: string, body: Buffer): void {
    const labelSets = this.received.get(path) ?? new Set();
    this.received.set(path, labelSets);
    const message = WriteRequest.decode(uncompressSync(body) as Uint8Array) as unknown as {
      timeseries: { labels: { name: string; value: string }[] }[];
    };
    for (const { labels } of message.timeseries) {
      labelSets.add(JSON.stringify(labels.flatMap(({ name, value }) => [name, value])));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function exposition(random: Seeded): string {
  const lines = Array.from({ length: SERIES }, (_, i) => {
    const labels = randomLabelSet(random).filter(([name]) => name !== '__name__');
    const text = labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(',');
    return `${random.pick(['up', 'http_requests_total', 'go_gc'])}_${i}{${text}} ${i}\n`;
  });
  return lines.join('');
}

test.skipIf(!peers.prometheus)(
  'Prometheus makes the same label sets of its series by the same rules',
  async () => {
    const random = new Seeded(42);
    const ruleSets: PlainRule[][] = Array.from({ length: RULE_SETS }, () =>
      Array.from({ length: random.between(1, 4) }, () => randomRule(random)),
    );
    await using endpoint = new Endpoint(exposition(random));
    const address = await endpoint.listen();
    await using prometheus = await Prometheus.start({
      scrape: { test: address },
      remoteWrite: [[], ...ruleSets].map((rules, i) => ({
        url: `http://${address}/${i}`,
        name: `w${i}`,
        write_relabel_configs: rules,
        metadata_config: { send: false },
        queue_config: { max_shards: 1, batch_send_deadline: '200ms' },
      })),
    });
    const sent = (i: number): Set<string> => endpoint.received.get(`/${i}`) ?? new Set();
    // Without rules: the series as Prometheus has them, among them those that it makes of a scrape.
    await until('a scrape is written', () => sent(0).size >= SERIES + 5, { timeoutMs: 60_000 });
    const input = [...sent(0)].map((labels) => JSON.parse(labels) as string[]);
    const expected = ruleSets.map((rules) => {
      const parsed = parseRelabelConfig(stringify(rules), 'r.yml');
      const outcomes = input.map((labels) => relabel(labels, parsed)).filter((labels) => labels?.length);
      return new Set(outcomes.map((labels) => JSON.stringify(labels)));
    });
    await until('every rule set has been through', () => expected.every((set, i) => sent(i + 1).size >= set.size), {
      timeoutMs: 60_000,
    });
    const { scrapes } = endpoint;
    await until('two more scrapes', () => endpoint.scrapes >= scrapes + 3);
    for (const [i, rules] of ruleSets.entries()) {
      expect([...sent(i + 1)].sort(), stringify(rules)).toEqual([...(expected[i] as Set<string>)].sort());
    }
    expect(expected.filter(({ size }) => size > 0).length).toBeGreaterThan(RULE_SETS / 3);
    expect(prometheus.output).not.toContain('level=error');
  },
  180_000,
);
