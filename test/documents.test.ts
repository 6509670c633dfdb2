/** What the documents say about the program, checked against the program. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import packageJson from '../package.json' with { type: 'json' };
import { banner, firstWriteText } from '../src/cli/banner.ts';
import { environmentName, SERVE_FLAGS } from '../src/config/flags.ts';

const root: string = fileURLToPath(new URL('..', import.meta.url));
const paths: string[] = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];
const documents: { path: string; text: string }[] = paths.map((path) => ({
  path,
  text: readFileSync(join(root, path), 'utf8'),
}));

/** Each finding of `pattern`'s first group, with the document it is in. */
function findings(pattern: RegExp): { path: string; found: string }[] {
  return documents.flatMap(({ path, text }) =>
    [...text.matchAll(pattern)].map((match) => ({ path, found: match[1] as string })),
  );
}

test('links between files lead somewhere', () => {
  const links = findings(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g);
  expect(links.length).toBeGreaterThan(2);
  expect(links.filter(({ path, found }) => !existsSync(join(root, dirname(path), found)))).toEqual([]);
});

test('every npm script that a document names is there', () => {
  const scripts = findings(/\bnpm run ([a-z][\w:-]*)/g);
  expect(scripts.length).toBeGreaterThan(3);
  expect(scripts.filter(({ found }) => !(found in packageJson.scripts))).toEqual([]);
});

test('every variable of ours that a document names stands for a flag', () => {
  const known = Object.values(SERVE_FLAGS).map(({ name }) => environmentName(name));
  expect(findings(/\b(VARVE_[A-Z_]+[A-Z])\b/g).filter(({ found }) => !known.includes(found))).toEqual([]);
});

test('every metric of ours that a document names is exported', () => {
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(root, 'src', name), 'utf8'));
  const metrics = findings(/\bvarve_([a-z][a-z_]+[a-z])\b/g);
  expect(metrics.length).toBeGreaterThan(1);
  expect(metrics.filter(({ found }) => !sources.some((text) => text.includes(`'${found}'`)))).toEqual([]);
});

test('every flag that a document names is there', () => {
  const known = Object.values(SERVE_FLAGS).map(({ name }) => name);
  const areas = new Set(known.filter((name) => name.includes('.')).map((name) => name.split('.', 1)[0]));
  const flags = findings(/(?<![\w-])--([a-z]+\.[a-z][\w.-]*\w)/g);
  expect(flags.length).toBeGreaterThan(1);
  const ours = flags.filter(({ found }) => areas.has(found.split('.', 1)[0]));
  expect(ours.filter(({ found }) => !known.includes(found))).toEqual([]);
});

test('what the README shows as printed is what is printed', () => {
  const readme = documents.find(({ path }) => path === 'README.md')?.text ?? '';
  const printed = banner({
    version: packageJson.version,
    readyAfterMs: 0,
    addresses: ['http://127.0.0.1:8470'],
    url: 'http://127.0.0.1:8470',
    needsPassword: false,
    dataDirectory: '/',
    bucket: '/',
    memoryBudgetBytes: 0,
  });
  const firstWrite = firstWriteText({
    remoteAddress: '127.0.0.1',
    userAgent: 'Prometheus/2.42.0',
    tenant: 'default-tenant',
    outcome: {
      received: 1,
      stored: 500,
      written: { samples: 0, histograms: 0, exemplars: 0 },
      newestMs: undefined,
      duplicates: 0,
      conflicts: 0,
      rejected: 0,
      dropped: { relabel: 0, ha: 0, shadow: 0 },
      newSeries: 500,
      message: '',
      rejectedBy: new Map(),
    },
    durableAfterMs: 1,
  });
  const shown = readme.split('\n').map(shape);
  for (const line of `${printed}${firstWrite}`.split('\n').map(shape)) expect(shown).toContain(line);
});

/** A line without what differs from run to run: numbers, sizes and paths. */
function shape(line: string): string {
  return line
    .trimEnd()
    .replaceAll(/(?<=^ {2}(?:data|bucket) +)\/.*$/g, '<path>')
    .replaceAll(/\d+(?:\.\d+)*/g, '<n>')
    .replaceAll(/<n> [KMGT]?i?B\b/g, '<size>');
}
