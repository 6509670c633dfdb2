/**
 * Relabelling: rules that change the labels of a series or drop it, as Prometheus has them in relabel_configs. Regular
 * expressions are RE2, match the whole value, and `.` matches a newline too. Source: Prometheus, model/relabel/relabel.go.
 */
import { createHash } from 'node:crypto';
import type { RE2JS } from 're2js';
import type { Labels } from '../../storage/index.ts';
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
}

/** The labels that the rules make of some, sorted, none empty; undefined if they drop the series. */
export function relabel(labels: Labels, rules: readonly RelabelRule[]): Labels | undefined {
  const builder = new LabelBuilder(labels);
  for (const rule of rules) if (!applyRule(rule, builder)) return undefined;
  return builder
    .entries()
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .flat();
}

/** Whether the series is kept. */
function applyRule(rule: RelabelRule, labels: LabelBuilder): boolean {
  const { regex, targetLabel } = rule;
  const value = rule.sourceLabels.map((name) => labels.get(name)).join(rule.separator);
  switch (rule.action) {
    case 'keep':
      return regex.testExact(value);
    case 'drop':
      return !regex.testExact(value);
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
      for (const [name] of labels.entries()) if (regex.testExact(name)) labels.remove(name);
      break;
    case 'labelkeep':
      for (const [name] of labels.entries()) if (!regex.testExact(name)) labels.remove(name);
      break;
  }
  return true;
}

function replace({ regex, targetLabel, replacement }: RelabelRule, value: string, labels: LabelBuilder): void {
  const expand = expanderOf(regex, value);
  if (expand === undefined) return;
  const target = expand(targetLabel);
  if (target !== '') labels.set(target, expand(replacement));
}

function mapNames({ regex, replacement }: RelabelRule, labels: LabelBuilder): void {
  for (const [name, value] of labels.entries()) {
    const target = expanderOf(regex, name)?.(replacement);
    // A name that comes out empty is no label.
    if (target !== undefined && target !== '') labels.set(target, value);
  }
}

/** What puts the groups of the match into a template; undefined if the text does not match. */
function expanderOf(regex: RE2JS, text: string): ((template: string) => string) | undefined {
  const matcher = regex.matcher(text);
  if (!matcher.matches()) return undefined;
  const names = regex.namedGroups();
  const groupOf = (group: number | string): string | undefined => {
    const number = typeof group === 'number' ? group : Object.hasOwn(names, group) ? names[group] : undefined;
    if (number === undefined || number > regex.groupCount()) return undefined;
    return matcher.group(number) ?? undefined;
  };
  return (template) => (template.includes('$') ? expandTemplate(template, groupOf) : template);
}

/** The last eight bytes of the MD5, as a number: what Prometheus takes the modulus of. */
function hashOf(value: string): bigint {
  return createHash('md5').update(value).digest().readBigUInt64BE(8);
}
