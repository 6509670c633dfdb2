import { readFileSync } from 'node:fs';
import { compressSync } from 'snappy';
import { expect, test } from 'vitest';
import { sealRecord } from '../../../storage/compact/head-cutter.ts';
import { writeHeadCheckpoint } from '../../../storage/head/head-checkpoint.ts';
import { MetadataStore } from '../../../storage/head/metadata-store.ts';
import { decodeWalRecord } from '../../support/oracle/wal-record.ts';
import { bytesField, labelField, sampleField, seriesField, varintField } from '../../support/wire-writer.ts';
import { bitsOf, LATEST_MS } from './random-request.ts';
import { TestHead } from './test-head.ts';

const page = readFileSync(new URL('../../../docs/formats/wal.md', import.meta.url), 'utf8');

/** The bytes of the example under a heading of docs/formats/wal.md. */
function example(heading: string): Buffer {
  const [, section = ''] = page.split(`\n### ${heading}\n`);
  const [text = ''] = section.split('\n### ');
  const lines = [...text.matchAll(/^((?:[0-9a-f]{2} )+)(?: |$)/gm)];
  return Buffer.from(lines.map(([, hex]) => hex?.replaceAll(' ', '')).join(''), 'hex');
}

function acme(): { head: TestHead; tenant: number } {
  const head = new TestHead();
  const tenant = head.kernel.tenant('acme');
  const time = 1_763_625_600_000;
  const up = (job: string, ...samples: readonly (readonly [number, number])[]): readonly number[] =>
    seriesField(
      labelField('__name__', 'up'),
      labelField('job', job),
      ...samples.map(([at, value]) => sampleField(at, bitsOf(value))),
    );
  const body = Uint8Array.from([...up('a', [time, 1]), ...up('b', [time, -2.5], [time + 15_000, 1e300])]);
  head.write(compressSync(body), LATEST_MS, tenant);
  return { head, tenant };
}

test('the examples of definitions and samples in docs/formats/wal.md are what is written', () => {
  const { head } = acme();
  expect(head.frames.map(({ payload }) => Buffer.from(payload))).toEqual([example('Definitions'), example('Samples')]);
});

test('the examples of the records of a checkpoint are what is written', () => {
  const { head, tenant } = acme();
  const records: Buffer[] = [];
  writeHeadCheckpoint(head.view, [{ handle: tenant, key: 'acme', published: new Map() }], (record) => {
    records.push(Buffer.from(record));
  });
  const definitions = example('Definitions');
  expect(records).toEqual([example('Checkpoint'), definitions, example('Chunks'), definitions]);
});

test('the example of metadata is what is written', () => {
  const [name, help, unit] = ['up', 'Whether it is up.', ''].map((text) => Buffer.from(text)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const records = new MetadataStore().add('acme', [{ name, type: 2, help, unit }], false);
  expect(records.map((record) => Buffer.from(record))).toEqual([example('Metadata')]);
});

test('the examples of items in docs/formats/wal.md are what is written', () => {
  const head = new TestHead();
  const tenant = head.kernel.tenant('acme');
  const time = 1_763_625_600_000;
  const histogram = [...varintField(1, 3), ...varintField(6, 3), ...varintField(15, time)];
  const exemplar = [...labelField('id', '7'), ...varintField(3, time)];
  const up = seriesField(
    labelField('__name__', 'up'),
    labelField('job', 'a'),
    bytesField(4, histogram),
    bytesField(3, exemplar),
  );
  head.write(compressSync(Uint8Array.from(up)), LATEST_MS, tenant);
  expect(head.frames.map(({ payload }) => Buffer.from(payload)).at(-1)).toEqual(example('Items'));
  const records: Buffer[] = [];
  writeHeadCheckpoint(head.view, [{ handle: tenant, key: 'acme', published: new Map() }], (record) => {
    records.push(Buffer.from(record));
  });
  expect(records.at(-2)).toEqual(example('Kept items'));
});

test('the example of a seal is what is written', () => {
  const record = example('Seal');
  const decoded = decodeWalRecord(record);
  expect(decoded).toEqual({
    kind: 'seal',
    seal: {
      instance: '01KAFQW0000000000000000000',
      epoch: 1,
      tenant: 'acme',
      window: 244_948,
      generation: 1,
      position: 3,
      ulid: '01KAFQW0000000000000000001',
    },
  });
  if (decoded.kind === 'seal') expect(Buffer.from(sealRecord(decoded.seal as object))).toEqual(record);
});
