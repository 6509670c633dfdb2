/**
 * Relabelling: rules that change the labels of a series or drop it, as Prometheus has them in relabel_configs. Regular
 * expressions are RE2, match the whole value, and `.` matches a newline too. Source: Prometheus, model/relabel/relabel.go.
 */
import { hash } from 'node:crypto';
import type { RE2JS } from 're2js';
import { compareUtf8, type Labels } from '../../storage/index.ts';
import { expandTemplate } from './go-template.ts';
import { LabelBuilder } from './label-builder.ts';
import { simpleLowerCase, simpleUpperCase } from './simple-case.ts';

export const RELABEL_ACTIONS = [
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
] as const;
export type RelabelAction = (typeof RELABEL_ACTIONS)[number];

/** One rule, checked. */
export interface RelabelRule {
  readonly action: RelabelAction;
  readonly sourceLabels: readonly string[];
  readonly separator: string;
  /** Anchored at both ends. */
  readonly regex: RE2JS;
  readonly targetLabel: string;
  readonly replacement: string;
  readonly modulus: bigint;
  /** What the expression made of texts before: labels have few names, and many series the same values. */
  readonly known: Map<string, Match | null>;
}

/** A text that matches: what `targetLabel` and `replacement` are with its groups. */
interface Match {
  readonly target: string;
  readonly replacement: string;
}

/** Then a rule forgets what it knows. */
const MAX_KNOWN = 10_000;

/** The labels that the rules make of some, sorted, none empty; undefined if they drop the series. */
export function relabel(labels: Labels, rules: readonly RelabelRule[]): Labels | undefined {
  const builder = new LabelBuilder(labels);
  for (const rule of rules) if (!applyRule(rule, builder)) return undefined;
  return builder
    .entries()
    .sort(([a], [b]) => compareUtf8(a, b))
    .flat();
}

/** Whether the series is kept. */
function applyRule(rule: RelabelRule, labels: LabelBuilder): boolean {
  const { targetLabel } = rule;
  const value = rule.sourceLabels.map((name) => labels.get(name)).join(rule.separator);
  switch (rule.action) {
    case 'keep':
      return matchOf(rule, value) !== null;
    case 'drop':
      return matchOf(rule, value) === null;
    case 'keepequal':
      return labels.get(targetLabel) === value;
    case 'dropequal':
      return labels.get(targetLabel) !== value;
    case 'replace':
      replace(rule, value, labels);
      break;
    case 'lowercase':
      labels.set(targetLabel, simpleLowerCase(value));
      break;
    case 'uppercase':
      labels.set(targetLabel, simpleUpperCase(value));
      break;
    case 'hashmod':
      labels.set(targetLabel, String(hashOf(value) % rule.modulus));
      break;
    case 'labelmap':
      mapNames(rule, labels);
      break;
    case 'labeldrop':
      for (const [name] of labels.entries()) if (matchOf(rule, name) !== null) labels.remove(name);
      break;
    case 'labelkeep':
      for (const [name] of labels.entries()) if (matchOf(rule, name) === null) labels.remove(name);
      break;
  }
  return true;
}

function replace(rule: RelabelRule, value: string, labels: LabelBuilder): void {
  const match = matchOf(rule, value);
  if (match !== null && match.target !== '') labels.set(match.target, match.replacement);
}

function mapNames(rule: RelabelRule, labels: LabelBuilder): void {
  for (const [name, value] of labels.entries()) {
    const match = matchOf(rule, name);
    // A name that comes out empty is no label.
    if (match !== null && match.replacement !== '') labels.set(match.replacement, value);
  }
}

function matchOf(rule: RelabelRule, text: string): Match | null {
  const { known } = rule;
  let match = known.get(text);
  if (match !== undefined) return match;
  match = findMatch(rule, text);
  if (known.size === MAX_KNOWN) known.clear();
  known.set(text, match);
  return match;
}

function findMatch({ regex, targetLabel, replacement }: RelabelRule, text: string): Match | null {
  // Without groups a faster engine answers.
  if (!regex.testExact(text)) return null;
  if (!targetLabel.includes('$') && !replacement.includes('$')) return { target: targetLabel, replacement };
  const matcher = regex.matcher(text);
  if (!matcher.matches()) return null;
  const names = regex.namedGroups();
  const groupOf = (group: number | string): string | undefined => {
    const number = typeof group === 'number' ? group : Object.hasOwn(names, group) ? names[group] : undefined;
    if (number === undefined || number > regex.groupCount()) return undefined;
    return matcher.group(number) ?? undefined;
  };
  return { target: expandTemplate(targetLabel, groupOf), replacement: expandTemplate(replacement, groupOf) };
}

/** The last eight bytes of the MD5, as a number: what Prometheus takes the modulus of. */
function hashOf(value: string): bigint {
  return hash('md5', value, 'buffer').readBigUInt64BE(8);
}
