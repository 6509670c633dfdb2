import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Election, electionRecord, readElection } from '../../../storage/head/election-record.ts';

const election: Election = {
  tenant: 'acme',
  cluster: ['cluster', 'eu'],
  replica: 'a',
  sinceMs: 1_763_625_600_000,
  intervalMs: 15_000,
};

test('an election is written as the format says, and read back', () => {
  const text = readFileSync(new URL('../../../docs/formats/wal.md', import.meta.url), 'utf8');
  const example = /### Election[\s\S]*?```\n(09 [\s\S]*?)```/.exec(text)?.[1] ?? '';
  const bytes = example.split('\n').flatMap((line) => line.split('   ')[0]?.match(/[0-9a-f]{2}/g) ?? []);
  expect(Buffer.from(electionRecord(election)).toString('hex')).toBe(bytes.join(''));
  expect(readElection(electionRecord(election))).toEqual(election);
});

test.each([
  '',
  '{',
  '[]',
  'null',
  '{"tenant":"acme"}',
  JSON.stringify({ ...election, cluster: ['cluster'] }),
  JSON.stringify({ ...election, cluster: [] }),
  JSON.stringify({ ...election, cluster: ['cluster', 1] }),
  JSON.stringify({ ...election, replica: 1 }),
  JSON.stringify({ ...election, sinceMs: '1' }),
])('%j is no election', (text) => {
  expect(readElection(Buffer.from(`\t${text}`))).toBeUndefined();
});
