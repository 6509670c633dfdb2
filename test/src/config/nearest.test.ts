import { expect, test } from 'vitest';
import { nearest } from '../../../src/config/nearest.ts';

const flags = [
  '--web.listen-address',
  '--web.external-url',
  '--storage.path',
  '--label',
  '--log.level',
  '--log.format',
];

test.each([
  ['--storage.pth', '--storage.path'],
  ['--storage.tsdb.path', '--storage.path'],
  ['--listen', '--web.listen-address'],
  ['--LOG.LEVEL', '--log.level'],
  ['--labels', '--label'],
  ['--web.externalurl', '--web.external-url'],
])('%s is nearest to %s', (text, expected) => {
  expect(nearest(text, flags)).toBe(expected);
});

test('a text that is like nothing still gets an answer', () => {
  expect(flags).toContain(nearest('x', flags));
  expect(nearest('', ['a'])).toBe('a');
});
