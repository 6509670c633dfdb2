import { expect, test } from 'vitest';
import { type ConfigNode, parseConfig } from '../../../src/config/config-node.ts';

function parsed(text: string): ConfigNode {
  return parseConfig(text, 'f.yml');
}

test('values are read as what they are, and what is not given is undefined', () => {
  const { a, b, c, d, e, f } = parsed('a: 1\nb: yes\nc: [x, 2]\nd:\ne: ~\n').fields('a', 'b', 'c', 'd', 'e', 'f');
  expect([a?.integer(), a?.text(), b?.boolean()]).toEqual([1, '1', true]);
  expect(c?.items().map((item) => item.text())).toEqual(['x', '2']);
  expect([d, e, f]).toEqual([undefined, undefined, undefined]);
});

test('an empty file has no fields', () => {
  for (const text of ['', '# nothing\n', '---\n', '{}']) expect(parsed(text).fields('a')).toEqual({});
});

test('an anchor stands for its value', () => {
  const { b } = parsed('a: &x {c: 1}\nb: *x\n').fields('a', 'b');
  expect(b?.fields('c').c?.integer()).toBe(1);
});

test.each<[text: string, message: string]>([
  ['alpha: 1\nbeto: 2\n', 'f.yml:2:1: unknown key "beto": the nearest is beta'],
  ['alpha:\n  x: 1\n', 'f.yml:2:3: unknown key "x" in alpha: the nearest is gamma'],
  ['alpha: {gamma: 1, gamma: 2}', 'f.yml:1:19: Map keys must be unique'],
  ['alpha: [1\n', 'f.yml:2:1: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ['- a\n', 'f.yml:1:1: want a map, got a list'],
  ['alpha: 7', 'f.yml:1:8: alpha: want a map, got something else'],
  ['beta: {}', 'f.yml:1:7: beta: want an integer, got a map'],
  ['beta: "7"', 'f.yml:1:7: beta: want an integer, got something else'],
  ['a: 1\n---\nb: 2\n', 'f.yml:2:1: want one YAML document only'],
  ['alpha: !secret x', 'f.yml:1:8: Unresolved tag: !secret'],
])('%j is refused with its place', (text, message) => {
  const read = (): void => {
    const { alpha, beta } = parsed(text).fields('alpha', 'beta');
    alpha?.fields('gamma');
    beta?.integer();
  };
  expect(read).toThrow(expect.objectContaining({ name: 'ConfigError', message }));
});

test('variables of the environment stand for values of any type', () => {
  const environment = { NAME: 'a: "b" #\n', COUNT: '12', SWITCH: 'true' };
  const { a, b, c, d } = parseConfig(
    'a: x${NAME}\nb: $(COUNT)\nc: "${SWITCH}"\nd: $(COUNT) ',
    'f.yml',
    environment,
  ).fields(...(['a', 'b', 'c', 'd'] as const));
  expect([a?.text(), b?.integer(), c?.boolean(), d?.text()]).toEqual(['xa: "b" #', 12, true, '12']);
});

test('a variable that is not set is an error at its place', () => {
  const { a } = parseConfig('\na: [x, "${NONE}"]', 'f.yml', {}).fields('a');
  const message = 'f.yml:2:8: the variable NONE is not set in the environment; a value for that: ${NONE:-value}';
  expect(() => a?.items().map((item) => item.text())).toThrow(message);
});

test('without an environment a dollar sign is one', () => {
  expect(parsed('a: ${NONE}$(NONE)').fields('a').a?.text()).toBe('${NONE}$(NONE)');
});
