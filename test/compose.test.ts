/** The container files: there is no Docker where tests run, so what can be read in them is checked against the program. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { environmentName, SERVE_FLAGS, serveSettings } from '../src/config/flags.ts';
import { peers } from './support/peers.ts';

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, unknown>>;
}

const root: string = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(root + path, 'utf8');
const compose = parse(read('compose/compose.yaml')) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services: [string, Service][] = Object.entries(compose.services);
const dockerfile: string = read('Dockerfile');

/** The `ENV` of the last stage. */
function imageEnvironment(): Record<string, string> {
  const block = /^ENV ((?:.*\\\n)*.*)$/m.exec(dockerfile.slice(dockerfile.lastIndexOf('\nFROM')))?.[1] ?? '';
  return Object.fromEntries([...block.matchAll(/(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]));
}

test('every image is pinned to a version, except the one that is built here', () => {
  expect(services.map(([name]) => name)).toEqual(['varve', 'prometheus', 'node-exporter', 'grafana', 's3']);
  for (const [name, { image, build }] of services) {
    if (build === undefined) expect(image, name).toMatch(/:v?\d+\.\d+\.\d+(?:@sha256:[0-9a-f]{64})?$/);
    else expect(existsSync(`${root}compose/${build.context}/Dockerfile`), name).toBe(true);
  }
});

test('ports are published on the loopback address only, each once', () => {
  const ports = services.flatMap(([, service]) => service.ports ?? []);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  expect(new Set(ports).size).toBe(ports.length);
});

test('volumes are declared or lie beside the file, and services depend on services', () => {
  for (const [, service] of services) {
    for (const volume of service.volumes ?? []) {
      const source = volume.split(':', 1)[0] as string;
      if (source.startsWith('.')) expect(existsSync(`${root}compose/${source}`), source).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
    const needed = Array.isArray(service.depends_on) ? service.depends_on : Object.keys(service.depends_on ?? {});
    for (const name of needed) expect(Object.keys(compose.services)).toContain(name);
  }
});

test('the image and the demo give the server flags and variables that it has', () => {
  const varve = compose.services.varve as Service;
  const environment = { ...imageEnvironment(), ...varve.environment };
  const variables = Object.values(SERVE_FLAGS).map(({ name }) => environmentName(name));
  for (const name of Object.keys(environment)) if (name.startsWith('VARVE_')) expect(variables).toContain(name);
  const [command, ...words] = varve.command ?? [];
  expect(command).toBe('serve');
  const flags = words.map((word) => /^--([\w.-]+)=(.*)$/.exec(word) ?? []);
  const names = Object.values(SERVE_FLAGS).map(({ name }) => name);
  for (const [, name] of flags) expect(names).toContain(name);
  const commandLine = new Map(flags.map(([, name, value]) => [name as string, [value as string]]));
  expect(serveSettings({ commandLine, environment, memoryBytes: 2 ** 30 })).toMatchObject({
    listenAddresses: [{ host: '0.0.0.0', port: 8470 }],
    storagePath: '/data',
    externalLabels: ['cluster', 'demo'],
  });
});

test('the image runs as nobody, keeps /data, listens on its port and checks its own health', () => {
  for (const line of ['USER 65534:65534', 'VOLUME /data', 'EXPOSE 8470', 'ENTRYPOINT ["varve"]', 'CMD ["serve"]']) {
    expect(dockerfile.split('\n')).toContain(line);
  }
  expect(dockerfile).toMatch(/^HEALTHCHECK .*CMD \["varve", "healthcheck"\]$/m);
  const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
  expect(new Set(bases)).toEqual(new Set(['node:24-slim']));
});

test('what the image copies is there and passes .dockerignore', () => {
  const admitted = read('.dockerignore')
    .split('\n')
    .flatMap((line) => (line.startsWith('!') ? line.slice(1) : []));
  const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources]) =>
    (sources as string).split(' '),
  );
  expect(copies.length).toBeGreaterThan(5);
  for (const source of copies) {
    const path = source.replace(/^\.\//, '');
    expect(existsSync(root + path), path).toBe(true);
    expect(admitted).toContain(path);
  }
});

test("Grafana's data source is the Prometheus of the demo, which writes to Varve and reads from it", () => {
  const { datasources } = parse(read('compose/grafana/datasources/prometheus.yaml')) as {
    datasources: { url: string }[];
  };
  expect(datasources.map(({ url }) => url)).toEqual(['http://prometheus:9090']);
  expect(parse(read('compose/prometheus.yml'))).toMatchObject({
    remote_write: [{ url: 'http://varve:8470/api/v1/write' }],
    remote_read: [{ url: 'http://varve:8470/api/v1/read' }],
  });
});

test.skipIf(!peers.promtool)("promtool takes the demo's configuration", () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'config', `${root}compose/prometheus.yml`], {
    encoding: 'utf8',
  });
  expect(`${stdout}${stderr}`).toContain('SUCCESS');
  expect(status).toBe(0);
});
