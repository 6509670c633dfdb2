// biome-ignore-all lint/suspicious/noTemplateCurlyInString: Go writes groups so.
/** Random relabel rules and label sets on a small ground, so that rules hit labels and each other. */
import type { PlainRule } from './oracle/relabel.ts';
import type { Seeded } from './seeded.ts';

const NAMES = ['__name__', 'job', 'instance', 'pod', 'env', 'tmp_a', 'tmp_b'];
const VALUES = ['a', 'b', 'api', 'web-1', 'web-2', 'Prod', 'UP low 9', 'a;b', 'x=y', 'http_requests_total'];
const REGEXES = [
  '(.*)',
  '',
  'a|b',
  'web-(\\d+)',
  '(\\w+)-(\\w+)',
  '(?P<first>[a-z]+).*',
  '.+',
  'tmp_(.+)',
  '([^;]*);(.*)',
  '(a)|(b)',
  'env|job|__name__',
  '__name__|job|pod',
  'P.*d|.*low.*',
];
const TARGETS = ['job', 'pod', 'env', 'fresh', 'tmp_b', '__name__'];
const TEMPLATE_TARGETS = [...TARGETS, 'l_$1', '${1}_x'];
const REPLACEMENTS = [
  '$1',
  '${1}',
  '$2',
  '${2}-${1}',
  'fixed',
  '',
  '$1x',
  '$$',
  'a$',
  '${first}',
  '$first.',
  '${',
  '$0',
  '$01',
];
const MAPPED = ['$1', 'm_$1', '${1}_m', 'one'];
const ACTIONS = [
  'replace',
  'keep',
  'drop',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
  'replace',
  'Replace',
];

/** One rule that Prometheus 2.42 accepts. */
export function randomRule(random: Seeded): PlainRule {
  const action = random.pick(ACTIONS);
  const name = action.toLowerCase();
  const regex = random.pick(REGEXES);
  if (name === 'labeldrop' || name === 'labelkeep') return { action, regex };
  if (name === 'labelmap') return { action, regex, replacement: random.pick(MAPPED) };
  const source_labels = Array.from({ length: random.between(1, 3) }, () => random.pick(NAMES));
  if (name === 'keepequal' || name === 'dropequal')
    return { action, source_labels, target_label: random.pick(TARGETS) };
  const separated = {
    action,
    source_labels,
    ...(random.chance(0.3) ? { separator: random.pick(['', '/', '-']) } : {}),
  };
  if (name === 'keep' || name === 'drop') return { ...separated, regex };
  if (name === 'lowercase' || name === 'uppercase') return { ...separated, target_label: random.pick(TARGETS) };
  if (name === 'hashmod') return { ...separated, target_label: random.pick(TARGETS), modulus: random.between(1, 1000) };
  return {
    ...separated,
    regex,
    target_label: random.pick(TEMPLATE_TARGETS),
    ...(random.chance(0.8) ? { replacement: random.pick(REPLACEMENTS) } : {}),
  };
}

/** A label set with a name, sorted. */
export function randomLabelSet(random: Seeded): [string, string][] {
  const names = NAMES.filter((name) => name === '__name__' || random.chance(0.6));
  return names.map((name): [string, string] => [name, random.pick(VALUES)]).sort(([a], [b]) => (a < b ? -1 : 1));
}
