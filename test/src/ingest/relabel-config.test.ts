// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Go writes groups so.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseRelabelConfig } from '../../../src/ingest/relabel-config.ts';
import { peers } from '../../support/peers.ts';
import { TemporaryDirectory } from '../../support/temporary-directory.ts';

test('an empty file has no rules', () => {
  for (const text of ['', '# nothing\n', '---\n', '[]']) expect(parseRelabelConfig(text, 'r.yml')).toEqual([]);
});

test('the defaults are those of Prometheus', () => {
  const [rule] = parseRelabelConfig('- target_label: a\n', 'r.yml');
  expect(rule).toMatchObject({
    action: 'replace',
    sourceLabels: [],
    separator: ';',
    replacement: '$1',
    targetLabel: 'a',
  });
  expect(rule?.regex.pattern()).toBe('^(?s:(.*))$');
});

const ACCEPTED = [
  '- {action: drop, source_labels: [a], regex: 5..}',
  '- {action: KeepEqual, source_labels: [a], target_label: b}',
  '- {action: keepequal, source_labels: [a], target_label: b, separator: ;, replacement: $1}',
  '- {action: hashmod, source_labels: [a], target_label: b, modulus: 18446744073709551615}',
  '- {target_label: a_$1, source_labels: [a]}',
  '- {target_label: "${1}", source_labels: [a]}',
  '- {action: labelmap, regex: "a(.*)"}',
  '- {action: labelmap, regex: a(.*), replacement: x_$1}',
  '- {action: labeldrop}',
  '- {action: lowercase, source_labels: [a], target_label: b, regex: x}',
  '- {action: replace, target_label: a, regex: }',
];

const REFUSED: readonly (readonly [text: string, message: string])[] = [
  ['- {actoin: drop}', 'r.yml:1:4: unknown key "actoin" in [0]: the nearest is action'],
  ['- action: drop\n- action: dropp\n', 'r.yml:2:11: unknown relabel action "dropp": the nearest is drop'],
  ['- {action: hashmod, target_label: a}', 'r.yml:1:3: hashmod requires a modulus that is not 0'],
  ['- {action: hashmod, modulus: 5}', 'r.yml:1:3: hashmod requires target_label'],
  ['- {action: hashmod, modulus: -1, target_label: a}', 'r.yml:1:30: modulus: want an integer from 0 to 2^64 - 1'],
  ['- {source_labels: [a]}', 'r.yml:1:3: replace requires target_label'],
  ['- {source_labels: a, target_label: b}', 'r.yml:1:19: [0].source_labels: want a list, got something else'],
  ['- {source_labels: [""], target_label: b}', 'r.yml:1:20: a source label has no name'],
  ['- {target_label: "a_${1"}', 'r.yml:1:18: target_label: "a_${1" is no label name'],
  ['- {action: labelmap, replacement: "x$"}', 'r.yml:1:35: replacement: "x$" is no label name'],
  ['- {action: drop, regex: "a("}', 'r.yml:1:25: regex: error parsing regexp: missing closing ): `a(`'],
  ['- {action: labeldrop, source_labels: [a], regex: b}', 'r.yml:1:38: source_labels has no effect with labeldrop'],
  ['- {action: labelkeep, regex: b, separator: x}', 'r.yml:1:44: separator has no effect with labelkeep'],
  ['- {action: dropequal, target_label: b, regex: x}', 'r.yml:1:47: regex has no effect with dropequal'],
  ['- {action: uppercase, target_label: b, replacement: x}', 'r.yml:1:53: replacement has no effect with uppercase'],
  ['action: drop', 'r.yml:1:1: want a list, got a map'],
];

test.each(ACCEPTED)('%s is accepted', (text) => {
  expect(parseRelabelConfig(text, 'r.yml')).toHaveLength(1);
});

test.each(REFUSED)('%j is refused with its place', (text, message) => {
  expect(() => parseRelabelConfig(text, 'r.yml')).toThrow(expect.objectContaining({ name: 'ConfigError', message }));
});

test.skipIf(!peers.promtool)(
  'promtool accepts and refuses the same',
  () => {
    using directory = new TemporaryDirectory('relabel');
    const file = join(directory.path, 'prometheus.yml');
    const isAccepted = (rules: string): boolean => {
      const config = `remote_write:\n  - url: http://localhost/\n    write_relabel_configs:\n${rules.replaceAll(/^/gm, '      ')}\n`;
      writeFileSync(file, config);
      return spawnSync('promtool', ['check', 'config', file]).status === 0;
    };
    expect(ACCEPTED.filter((rules) => !isAccepted(rules))).toEqual([]);
    expect(REFUSED.map(([rules]) => rules).filter(isAccepted)).toEqual([]);
  },
  60_000,
);
