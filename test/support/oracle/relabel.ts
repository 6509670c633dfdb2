/**
 * Relabelling in plain steps, for rules whose regular expressions mean the same in JavaScript: written from the
 * description of relabel_config in Prometheus' documentation and from its Go source, with nothing of ours.
 */
import { createHash } from 'node:crypto';

export interface PlainRule {
  readonly action: string;
  readonly source_labels?: readonly string[];
  readonly separator?: string;
  readonly regex?: string;
  readonly target_label?: string;
  readonly replacement?: string;
  readonly modulus?: number;
}

type Pair = { name: string; value: string };

/** The sorted labels that are left, or undefined if the series is dropped. */
export function plainRelabel(
  labels: readonly (readonly [string, string])[],
  rules: readonly PlainRule[],
): [string, string][] | undefined {
  // In the order in which Prometheus goes through them: those that came, then those that were set.
  let came: Pair[] = labels.map(([name, value]) => ({ name, value }));
  let made: Pair[] = [];
  const find = (name: string): string => [...made, ...came].find((pair) => pair.name === name)?.value ?? '';
  const put = (name: string, value: string): void => {
    const known = made.find((pair) => pair.name === name);
    if (value === '') {
      came = came.filter((pair) => pair.name !== name);
      made = made.filter((pair) => pair.name !== name);
    } else if (known !== undefined) known.value = value;
    else {
      came = came.filter((pair) => pair.name !== name);
      made.push({ name, value });
    }
  };
  for (const rule of rules) {
    const { separator = ';', regex = '(.*)', replacement = '$1', target_label: target = '' } = rule;
    const expression = new RegExp(`^(?:${regex.replaceAll('(?P<', '(?<')})$`, 'su');
    const value = (rule.source_labels ?? []).map(find).join(separator);
    const match = expression.exec(value);
    const all = [...came, ...made].map((pair) => ({ ...pair }));
    if (rule.action === 'keep' && match === null) return undefined;
    if (rule.action === 'drop' && match !== null) return undefined;
    if (rule.action === 'keepequal' && find(target) !== value) return undefined;
    if (rule.action === 'dropequal' && find(target) === value) return undefined;
    if (rule.action === 'replace' && match !== null) {
      const name = fill(target, match);
      if (name !== '') put(name, fill(replacement, match));
    }
    if (rule.action === 'lowercase') put(target, value.toLowerCase());
    if (rule.action === 'uppercase') put(target, value.toUpperCase());
    if (rule.action === 'hashmod') {
      const digest = createHash('md5').update(value).digest('hex');
      put(target, `${BigInt(`0x${digest.slice(16)}`) % BigInt(rule.modulus ?? 1)}`);
    }
    for (const pair of all) {
      const named = expression.exec(pair.name);
      if (rule.action === 'labeldrop' && named !== null) put(pair.name, '');
      if (rule.action === 'labelkeep' && named === null) put(pair.name, '');
      if (rule.action === 'labelmap' && named !== null) {
        const name = fill(replacement, named);
        if (name !== '') put(name, pair.value);
      }
    }
  }
  return [...came, ...made]
    .map(({ name, value }): [string, string] => [name, value])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Goes through a template letter by letter. */
function fill(template: string, match: RegExpExecArray): string {
  let text = '';
  for (let i = 0; i < template.length; i++) {
    const c = template[i] as string;
    if (c !== '$') {
      text += c;
      continue;
    }
    const rest = template.slice(i + 1);
    if (rest.startsWith('$')) {
      text += '$';
      i++;
      continue;
    }
    const braced = /^\{(\w+)\}/.exec(rest);
    const bare = /^\w+/.exec(rest);
    const name = braced?.[1] ?? bare?.[0];
    if (name === undefined) {
      text += '$';
      continue;
    }
    i += (braced?.[0] ?? name).length;
    text += (/^(0|[1-9]\d*)$/.test(name) ? match[Number(name)] : match.groups?.[name]) ?? '';
  }
  return text;
}
