import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { relabel } from '../../../src/ingest/relabel.ts';
import { parseRelabelConfig } from '../../../src/ingest/relabel-config.ts';
import { simpleLowerCase, simpleUpperCase } from '../../../src/ingest/simple-case.ts';
import { type PlainRule, plainRelabel } from '../../support/oracle/relabel.ts';
import { randomLabelSet, randomRule } from '../../support/relabel-rules.ts';
import { Seeded } from '../../support/seeded.ts';

/** The labels after the rules, or 'dropped'. */
function relabelled(labels: Readonly<Record<string, string>>, ...rules: readonly PlainRule[]): unknown {
  const result = relabel(Object.entries(labels).flat(), parseRelabelConfig(stringify(rules), 'r.yml'));
  if (result === undefined) return 'dropped';
  return Object.fromEntries(Array.from({ length: result.length / 2 }, (_, i) => [result[2 * i], result[2 * i + 1]]));
}

const UP = { __name__: 'up', instance: 'web-1:9090', job: 'api' };

test.each<[what: string, rule: PlainRule, result: unknown]>([
  [
    'replace takes groups',
    {
      action: 'replace',
      source_labels: ['instance'],
      regex: '([^:]+):(\\d+)',
      target_label: 'host',
      replacement: '$1/$2',
    },
    { ...UP, host: 'web-1/9090' },
  ],
  [
    'replace without a match changes nothing',
    { action: 'replace', source_labels: ['instance'], regex: 'web', target_label: 'host', replacement: 'x' },
    UP,
  ],
  [
    'replace with nothing removes the label',
    { action: 'replace', source_labels: ['job'], target_label: 'instance', replacement: '' },
    { __name__: 'up', job: 'api' },
  ],
  [
    'several source labels are joined',
    { action: 'replace', source_labels: ['job', 'missing', '__name__'], target_label: 'all' },
    { ...UP, all: 'api;;up' },
  ],
  ['keep keeps', { action: 'keep', source_labels: ['job'], regex: 'a.i' }, UP],
  ['keep is anchored', { action: 'keep', source_labels: ['job'], regex: 'ap' }, 'dropped'],
  ['drop drops', { action: 'drop', source_labels: ['job'], regex: 'api|web' }, 'dropped'],
  ['labeldrop', { action: 'labeldrop', regex: 'inst.*' }, { __name__: 'up', job: 'api' }],
  ['labelkeep', { action: 'labelkeep', regex: '__name__|job' }, { __name__: 'up', job: 'api' }],
  ['labelmap', { action: 'labelmap', regex: '(jo)b', replacement: 'x_$1' }, { ...UP, x_jo: 'api' }],
  ['keepequal', { action: 'keepequal', source_labels: ['job'], target_label: 'instance' }, 'dropped'],
  ['dropequal', { action: 'dropequal', source_labels: ['job'], target_label: 'instance' }, UP],
  ['uppercase', { action: 'uppercase', source_labels: ['job'], target_label: 'job' }, { ...UP, job: 'API' }],
  ['lowercase', { action: 'lowercase', source_labels: ['job'], target_label: 'low' }, { ...UP, low: 'api' }],
  [
    'hashmod is the last eight bytes of the MD5',
    { action: 'hashmod', source_labels: ['missing'], target_label: 'shard', modulus: 1000 },
    { ...UP, shard: String(0xe9800998ecf8427en % 1000n) },
  ],
  [
    'a dot matches a newline',
    { action: 'replace', source_labels: ['job'], regex: 'a.*i', target_label: 'job', replacement: 'b' },
    { ...UP, job: 'b' },
  ],
])('%s', (_, rule, result) => {
  expect(relabelled(UP, rule)).toEqual(result);
  if (rule.regex === 'a.*i') expect(relabelled({ ...UP, job: 'a\n\ni' }, rule)).toEqual(result);
});

test('a label that two others become has the value of the last one, in the order of the names', () => {
  const map: PlainRule = { action: 'labelmap', regex: 'a_(.+)|b_(.+)', replacement: 'x' };
  expect(relabelled({ __name__: 'm', a_1: 'first', b_1: 'second' }, map)).toMatchObject({ x: 'second' });
});

test('letters change case one by one, as in Go', () => {
  expect(simpleUpperCase('straße ﬁn ᾳ ᾳδ ŉ é')).toBe('STRAßE ﬁN ᾼ ᾼΔ ŉ É');
  expect(simpleLowerCase('ΟΔΟΣ İI É')).toBe('οδοσ ii é');
});

test('random rules on random labels give what plain steps give', () => {
  const random = new Seeded(20);
  let dropped = 0;
  let changed = 0;
  for (let round = 0; round < 400; round++) {
    const rules = Array.from({ length: random.between(1, 6) }, () => randomRule(random));
    const parsed = parseRelabelConfig(stringify(rules), 'r.yml');
    const plain = rules.map((rule) => ({ ...rule, action: rule.action.toLowerCase() }));
    for (let i = 0; i < 20; i++) {
      const labels = randomLabelSet(random);
      const wanted = plainRelabel(labels, plain)?.flat();
      expect(relabel(labels.flat(), parsed), JSON.stringify({ labels, rules })).toEqual(wanted);
      if (wanted === undefined) dropped++;
      else if (JSON.stringify(wanted) !== JSON.stringify(labels.flat())) changed++;
    }
  }
  expect(dropped).toBeGreaterThan(500);
  expect(changed).toBeGreaterThan(500);
});
