/**
 * The rules of the tree that no linter knows: which folder may import which, where the world comes in, and names.
 * Each rule is a function from a file to its violations, and each proves on a planted violation that it can fail.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

interface SourceFile {
  /** From the top of the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
}
type Rule = (file: SourceFile) => string[];

/** An import points to a lower rank or stays in its folder. A file at the top of storage/ or src/ is a folder of its own. */
const RANKS: Readonly<Record<string, number>> = {
  'package.json': 0,
  'storage/lib': 0,
  'storage/io': 1,
  'storage/model': 1,
  'storage/kernel': 2,
  'storage/chunk': 3,
  'storage/index': 3,
  'storage/wal': 3,
  'storage/block': 4,
  'storage/head': 5,
  'storage/bucket': 5,
  'storage/catalog': 6,
  'storage/ship': 6,
  'storage/compact': 7,
  'storage/select': 8,
  'storage/data-directory.ts': 8,
  'storage/database': 9,
  'storage/restore.ts': 9,
  'storage/index.ts': 10,
  'src/telemetry': 11,
  'src/tenants': 12,
  'src/config': 13,
  'src/read': 13,
  'src/objectstore': 14,
  'src/ingest': 14,
  'src/web': 14,
  'src/api': 15,
  'src/cli': 16,
  'src/main.ts': 17,
};

/** Folders that turn bytes into numbers and back: no file is opened there. */
const PURE = ['storage/chunk', 'storage/index'];

/** The world comes in through storage/io; the program's entry may also ask the machine directly. */
const WORLD = ['storage/io/', 'src/cli/', 'src/main.ts'];
const WORLDLY: readonly RegExp[] = [
  /\b(?:from|import)\s*\(?\s*['"](?:node:)?(?:fs|timers)(?:\/promises)?['"]/,
  /\bDate\.now\b/,
  /\bnew Date\(\s*\)/,
  /\bperformance\.now\b/,
  /\bMath\.random\b/,
  /\bset(?:Timeout|Interval|Immediate)\b/,
];

const FORBIDDEN_WORDS = new Set('manager helper helpers util utils data info process handle common misc'.split(' '));

const root: string = fileURLToPath(new URL('..', import.meta.url));

function repositoryFiles(): SourceFile[] {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
  const paths = listed.toString('utf8').split('\0').filter(Boolean);
  return [...new Set(paths)].flatMap((path) => {
    try {
      return [{ path, text: readFileSync(join(root, path), 'utf8') }];
    } catch {
      return []; // Deleted, but still in Git's index.
    }
  });
}

function isEngineOrService(path: string): boolean {
  return /^(?:storage|src)\/.*\.ts$/.test(path) && !path.startsWith('storage/kernel/assembly/');
}

/** Comments become blank; strings stay, because import paths are strings. */
function withoutComments(text: string): string {
  const strings = /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/.*$/gm;
  return text.replace(strings, (_, string: string | undefined) => string ?? '');
}

/** The modules of the project that a file imports, types included, as paths from the top. */
function importsOf({ path, text }: SourceFile): string[] {
  const specifiers = withoutComments(text).matchAll(/\b(?:from|import)\s*\(?\s*['"](\.[^'"]+)['"]/g);
  return [...specifiers].map(([, specifier]) => normalize(join(dirname(path), specifier as string)));
}

function folderOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

const importsPointDown: Rule = (file) => {
  if (!isEngineOrService(file.path)) return [];
  const from = folderOf(file.path);
  const rank = RANKS[from];
  if (rank === undefined) return [`${file.path}: ${from} has no rank in test/tidy.test.ts`];
  return importsOf(file)
    .filter((target) => folderOf(target) !== from && !((RANKS[folderOf(target)] ?? Infinity) < rank))
    .map((target) => `${file.path}: ${from} (rank ${rank}) may not import ${target}`);
};

const storageHasOneDoor: Rule = (file) =>
  file.path.startsWith('src/')
    ? importsOf(file)
        .filter((target) => target.startsWith('storage/') && target !== 'storage/index.ts')
        .map((target) => `${file.path}: enters the engine at ${target}, not at storage/index.ts`)
    : [];

const formatsArePure: Rule = (file) =>
  PURE.includes(folderOf(file.path))
    ? importsOf(file)
        .filter((target) => target.startsWith('storage/io/'))
        .map((target) => `${file.path}: ${folderOf(file.path)} is pure and may not import ${target}`)
    : [];

const theWorldComesInThroughInterfaces: Rule = (file) => {
  if (!isEngineOrService(file.path) || WORLD.some((allowed) => file.path.startsWith(allowed))) return [];
  const code = withoutComments(file.text);
  return WORLDLY.flatMap((pattern) => {
    const found = pattern.exec(code);
    return found === null ? [] : [`${file.path}: "${found[0]}" belongs behind an interface of storage/io`];
  });
};

const namesAreOfTheField: Rule = ({ path }) =>
  path
    .replace('data-directory', '') // What users call it, and what it is.
    .split('/')
    .flatMap((part) => part.split(/[-.]/))
    .filter((word) => FORBIDDEN_WORDS.has(word.toLowerCase()))
    .map((word) => `${path}: "${word}" says nothing about what is inside`);

const sourceNamesAreKebabCase: Rule = ({ path }) =>
  /\.ts$/.test(path) && !/^(?:[a-z0-9]+(?:-[a-z0-9]+)*[./])+ts$/.test(path) ? [`${path}: not kebab-case`] : [];

const noMachinePaths: Rule = ({ path, text }) => {
  if (!/\.(?:md|py|ts|json|ya?ml|sh|toml)$|Dockerfile$|^\.ci\//.test(path)) return [];
  const found =
    /(?<![\w.])\/(?:work|farm|root)\/\S*/.exec(text) ??
    (/\.(?:md|py)$/.test(path) ? /(?<![\w.])\/tmp\/\S*/.exec(text) : null);
  return found === null ? [] : [`${path}: "${found[0]}" exists on one machine only`];
};

const RULES: readonly { name: string; rule: Rule; planted: SourceFile; catches: string }[] = [
  {
    name: 'imports point to lower ranks',
    rule: importsPointDown,
    planted: { path: 'storage/wal/segment.ts', text: "import type { Head } from '../head/head.ts';" },
    catches: 'may not import storage/head/head.ts',
  },
  {
    name: 'imports do not cross to a folder of the same rank',
    rule: importsPointDown,
    planted: { path: 'storage/wal/segment.ts', text: "import { x } from '../chunk/xor-chunk.ts';" },
    catches: 'may not import storage/chunk/xor-chunk.ts',
  },
  {
    name: 'nothing imports tests, bench or scripts',
    rule: importsPointDown,
    planted: { path: 'src/api/server.ts', text: "const peers = await import('../../test/support/peers.ts');" },
    catches: 'may not import test/support/peers.ts',
  },
  {
    name: 'every folder has a rank',
    rule: importsPointDown,
    planted: { path: 'storage/cache/lru.ts', text: '' },
    catches: 'has no rank',
  },
  {
    name: 'src enters the engine by its one door',
    rule: storageHasOneDoor,
    planted: { path: 'src/api/write.ts', text: "import { StorageError } from '../../storage/lib/errors.ts';" },
    catches: 'not at storage/index.ts',
  },
  {
    name: 'chunk and index formats open no files',
    rule: formatsArePure,
    planted: { path: 'storage/index/index-reader.ts', text: "import type { File } from '../io/file-system.ts';" },
    catches: 'is pure',
  },
  ...[
    "import { readFileSync } from 'node:fs';",
    "import fs from 'fs/promises';",
    'const now = Date.now();',
    'const today = new Date();',
    'const start = performance.now();',
    'const jitter = Math.random();',
    'setTimeout(retry, 100);',
    'const timer = setInterval(tick, 100);',
    'setImmediate(next);',
  ].map((text) => ({
    name: `the world comes in through storage/io: ${text}`,
    rule: theWorldComesInThroughInterfaces,
    planted: { path: 'src/read/limits.ts', text: `/** A comment. */\n${text}\n` },
    catches: 'belongs behind an interface',
  })),
  {
    name: 'file names say what is inside',
    rule: namesAreOfTheField,
    planted: { path: 'src/api/request-utils.ts', text: '' },
    catches: '"utils" says nothing',
  },
  {
    name: 'source files have kebab-case names',
    rule: sourceNamesAreKebabCase,
    planted: { path: 'storage/block/blockWriter.ts', text: '' },
    catches: 'not kebab-case',
  },
  {
    name: 'documents and scripts name no path of one machine',
    rule: noMachinePaths,
    planted: { path: 'docs/usage.md', text: `Run ${['', 'work', 'varve', 'run'].join('/')} first.` },
    catches: 'one machine only',
  },
];

const files: SourceFile[] = repositoryFiles();

test('the rules see the files of the engine and of the service', () => {
  const paths = files.map(({ path }) => path);
  expect(paths).toContain('storage/lib/errors.ts');
  expect(paths).toContain('src/main.ts');
  expect(paths.filter((path) => path.startsWith('storage/')).length).toBeGreaterThan(10);
  expect(paths.filter((path) => path.startsWith('src/')).length).toBeGreaterThan(5);
  expect(files.flatMap(importsOf).length).toBeGreaterThan(50);
});

test.each(RULES)('$name', ({ rule, planted, catches }) => {
  expect(rule(planted).join('\n')).toContain(catches);
  expect(files.flatMap(rule)).toEqual([]);
});

test('what only a comment says breaks no rule', () => {
  const text = "// Not Date.now(): see Clock.\n/* import x from 'node:fs' */\nconst url = 'http://127.0.0.1';\n";
  expect(theWorldComesInThroughInterfaces({ path: 'src/read/limits.ts', text })).toEqual([]);
});
