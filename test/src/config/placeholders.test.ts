import { expect, test } from 'vitest';
import { expandPlaceholders } from '../../../src/config/placeholders.ts';

const environment = { A: 'one', B: 'two\n', EMPTY: '', NESTED: '${A}' };

test.each([
  ['$(A)', 'one'],
  ['x${A}y$(B)z', 'xoneytwoz'],
  ['${NONE:-or this}', 'or this'],
  ['${EMPTY:-or this}', 'or this'],
  ['${NONE:-}', ''],
  ['${A:-not this}', 'one'],
  ['$${A} $$(A)', '${A} $one'],
  ['${NESTED}', '${A}'],
  ['$A $ ${} ${1x} ${A $(A-B) pa$$word', '$A $ ${} ${1x} ${A $(A-B) pa$$word'],
])('%s becomes %s', (text, expanded) => {
  expect(expandPlaceholders(text, environment)).toBe(expanded);
});

test.each([
  ['$(NONE)', 'the variable NONE is not set in the environment; a value for that: ${NONE:-value}'],
  ['${EMPTY}', 'the variable EMPTY is empty in the environment; a value for that: ${EMPTY:-value}'],
])('%s is an error', (text, message) => {
  expect(() => expandPlaceholders(text, environment)).toThrow(message);
});
