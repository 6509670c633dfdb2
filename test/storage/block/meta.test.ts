import { expect, test } from 'vitest';
import {
  type BlockMeta,
  blockCoverage,
  blockExternalLabels,
  blockRange,
  encodeMeta,
  parseMeta,
} from '../../../storage/block/meta.ts';
import { CorruptionError } from '../../../storage/lib/errors.ts';

const ULID = '01HZZZZZZZZZZZZZZZZZZZZZZZ';

const coverage = { format: 1, instance: 'a', epoch: 0, tenant: 't', window: -3, generation: 2, position: 17 } as const;

const meta: BlockMeta = {
  ulid: ULID,
  minTime: -7_200_000,
  maxTime: 0,
  stats: { numSamples: 3, numFloatSamples: 3, numSeries: 1, numChunks: 1 },
  compaction: { level: 1, sources: [ULID] },
  version: 1,
  thanos: {
    version: 1,
    labels: { cluster: '<eu & us>', tenant_id: 't' },
    downsample: { resolution: 0 },
    source: 'receive',
    files: [{ rel_path: 'index', size_bytes: 10 }, { rel_path: 'meta.json' }],
    extensions: { varve: coverage },
  },
};

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** `meta` with the value at a dotted path replaced. */
function withField(path: string, value: unknown): Uint8Array {
  const copy = structuredClone(meta) as unknown as Record<string, unknown>;
  const parts = path.split('.');
  let target = copy;
  for (const part of parts.slice(0, -1)) target = target[part] as Record<string, unknown>;
  target[parts.at(-1) as string] = value;
  return bytesOf(copy);
}

test('meta.json is written as Go writes it: tabs, escapes, a newline at the end', () => {
  const text = new TextDecoder().decode(encodeMeta(meta));
  expect(text.startsWith(`{\n\t"ulid": "${ULID}",\n\t"minTime": -7200000,\n\t"maxTime": 0,\n\t"stats": {\n`)).toBe(
    true,
  );
  expect(text).toContain('\t\t\t"cluster": "\\u003ceu \\u0026 us\\u003e",\n');
  expect(text.endsWith('}\n')).toBe(true);
});

test('what is written is read', () => {
  expect(parseMeta(encodeMeta(meta), 'meta.json')).toEqual(meta);
  expect(blockCoverage(meta, 'meta.json')).toEqual(coverage);
  expect(blockRange(meta)).toEqual({ minTimeMs: -7_200_000, maxTimeMs: 0 });
});

test('fields of others survive', () => {
  const foreign = withField('thanos.rewrites', [{ sources: [ULID] }]);
  const read = parseMeta(foreign, 'meta.json');
  expect(parseMeta(encodeMeta(read), 'meta.json')).toEqual(JSON.parse(new TextDecoder().decode(foreign)));
});

test('a block of Prometheus has no Thanos section, and one without samples no stats', () => {
  const { thanos: _, ...plain } = meta;
  expect(parseMeta(bytesOf(plain), 'meta.json')).toEqual(plain);
  expect(parseMeta(bytesOf({ ...plain, stats: undefined }), 'meta.json').stats).toEqual({});
  expect(blockCoverage(plain, 'meta.json')).toBeUndefined();
  expect(blockExternalLabels(plain, 'tenant_id')).toEqual([]);
});

test('nulls of Go are empty', () => {
  expect(parseMeta(withField('thanos.labels', null), 'meta.json').thanos?.labels).toEqual({});
  expect(parseMeta(withField('compaction.sources', null), 'meta.json').compaction.sources).toBeNull();
});

test('labels of owners and shards are no labels of the series; the others come in byte order', () => {
  const labels = { z: '1', tenant: 't', tenant_id: 'x', __org_id__: 'y', __compactor_shard_id__: '1_of_2', a: '2' };
  const owned: BlockMeta = { ...meta, thanos: { ...meta.thanos, labels } as NonNullable<BlockMeta['thanos']> };
  expect(blockExternalLabels(owned, 'tenant')).toEqual(['a', '2', 'z', '1']);
});

test.each([
  ['ulid', 'no', 'ulid is "no": not a ULID'],
  ['version', 2, 'version is 2: 2, but only 1 can be read'],
  ['minTime', 1.5, 'minTime is 1.5: not an integer'],
  ['minTime', '0', 'minTime is "0": not an integer'],
  ['maxTime', -7_200_001, 'maxTime is -7200001: before minTime'],
  ['stats.numSeries', -1, 'stats.numSeries is -1: less than 0'],
  ['stats', [], 'stats is []: not an object'],
  ['compaction.level', undefined, 'compaction.level is nothing: not an integer'],
  ['compaction.sources', [ULID, 7], 'compaction.sources[1] is 7: not a string'],
  ['compaction.parents', {}, 'compaction.parents is {}: not a list'],
  ['thanos', 'x', 'thanos is "x": not an object'],
  ['thanos.version', 2, 'thanos.version is 2: only 1 can be read'],
  ['thanos.labels', { a: 1 }, 'thanos.labels.a is 1: not a string'],
  ['thanos.downsample', { resolution: -1 }, 'thanos.downsample.resolution is -1: less than 0'],
  ['thanos.files', [{}], 'thanos.files[0].rel_path is nothing: not a string'],
  ['thanos.extensions', 'x', 'thanos.extensions is "x": not an object'],
])('a meta.json with a wrong %s is refused by name', (path, value, message) => {
  expect(() => parseMeta(withField(path, value), 'b/meta.json')).toThrow(
    new CorruptionError('b/meta.json', 0, message),
  );
});

test('what is not JSON is refused', () => {
  for (const bytes of [new Uint8Array(0), Uint8Array.of(0xff), bytesOf(null), bytesOf([]), bytesOf('x')]) {
    expect(() => parseMeta(bytes, 'meta.json')).toThrow(CorruptionError);
  }
});

test('the coverage of a newer version is refused by name', () => {
  const newer = parseMeta(withField('thanos.extensions.varve', { ...coverage, format: 2 }), 'meta.json');
  expect(() => blockCoverage(newer, 'm')).toThrow('thanos.extensions.varve.format is 2: 2, but only 1 can be read');
});
