/**
 * Blocks as others make them: by promtool and by a Prometheus, and put into a bucket as a Thanos sidecar or a Mimir ingester
 * does it (Thanos pkg/block/block.go, pkg/block/metadata/meta.go).
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { BlockMeta } from '../../storage/block/meta.ts';
import { Prometheus } from './prometheus.ts';
import { promtool } from './promtool.ts';
import { type WrittenSeries, writeRequest } from './remote-write.ts';

/** The directories of the blocks that promtool makes of the series, under `directory`. Values are plain numbers. */
export async function blocksByPromtool(directory: string, series: readonly WrittenSeries[]): Promise<string[]> {
  const lines = series.flatMap(({ labels, samples }) => {
    const [, name = ''] = labels.find(([label]) => label === '__name__') ?? [];
    const others = labels.filter(([label]) => label !== '__name__').map(([label, value]) => `${label}="${value}"`);
    return samples.map(([timestampMs, value]) => `${name}{${others.join(',')}} ${value} ${timestampMs / 1000}`);
  });
  mkdirSync(directory, { recursive: true });
  const input = join(directory, 'input');
  writeFileSync(input, `${lines.join('\n')}\n# EOF\n`);
  const output = join(directory, 'blocks');
  for await (const _ of promtool('tsdb', 'create-blocks-from', 'openmetrics', input, output));
  return readdirSync(output).map((ulid) => join(output, ulid));
}

/** The same by a Prometheus that is sent the series, out of its head. */
export async function blocksByPrometheus(directory: string, series: readonly WrittenSeries[]): Promise<string[]> {
  mkdirSync(directory, { recursive: true });
  const data = join(directory, 'data');
  const flags = ['--web.enable-remote-write-receiver', '--web.enable-admin-api'];
  await using prometheus = await Prometheus.start({ directory: data, flags });
  const { status, text } = await prometheus.write(writeRequest(series));
  if (status !== 204) throw new Error(`Prometheus took no samples: ${status} ${text}`);
  const response = await fetch(`${prometheus.url}/api/v1/admin/tsdb/snapshot`, { method: 'POST' });
  const { data: answer } = (await response.json()) as { data: { name: string } };
  const snapshot = join(data, 'snapshots', answer.name);
  return readdirSync(snapshot).map((ulid) => join(snapshot, ulid));
}

export interface ForeignUpload {
  /** Labels of the Thanos section. */
  readonly labels: Readonly<Record<string, string>>;
  readonly source?: string;
  /** In the bucket, above the block. */
  readonly under?: string;
  /** Without it the upload is one that did not come to its end. */
  readonly isWhole?: boolean;
}

/** Puts a block into the directory of a bucket with the meta.json that the uploader writes; answers where it is there. */
export function putForeignBlock(
  store: string,
  block: string,
  { labels, source = 'sidecar', under = '', isWhole = true }: ForeignUpload,
): string {
  const target = join(store, under, basename(block));
  for (const part of ['chunks', 'index']) cpSync(join(block, part), join(target, part), { recursive: true });
  if (isWhole) writeFileSync(join(target, 'meta.json'), foreignMeta(block, labels, source));
  return target;
}

/** What the uploader makes of the meta.json that Prometheus wrote. */
export function foreignMeta(block: string, labels: Readonly<Record<string, string>>, source: string): string {
  const meta = JSON.parse(readFileSync(join(block, 'meta.json'), 'utf8')) as BlockMeta;
  const segments = readdirSync(join(block, 'chunks'));
  const paths = [...segments.map((segment) => `chunks/${segment}`), 'index'];
  const files = paths.map((path) => ({ rel_path: path, size_bytes: statSync(join(block, path)).size }));
  const thanos = {
    version: 1,
    labels,
    downsample: { resolution: 0 },
    source,
    segment_files: segments,
    files: [...files, { rel_path: 'meta.json' }],
    index_stats: {},
    upload_time: new Date().toISOString(),
  };
  return `${JSON.stringify({ ...meta, thanos }, undefined, '\t')}\n`;
}
