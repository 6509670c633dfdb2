/**
 * The file of `--receive.relabel-config-file`: a list of relabel configs as in Prometheus and Thanos Receive. Checked as
 * strictly as there; a mistake is named with its line and column. Source: Prometheus, model/relabel.Config.
 */
import { RE2JS } from 're2js';
import { type ConfigNode, parseConfig } from '../config/config-node.ts';
import { RELABEL_ACTIONS, type RelabelAction, type RelabelRule } from './relabel.ts';

const DEFAULT_REGEX = '(.*)';
const DEFAULT_REPLACEMENT = '$1';
const DEFAULT_SEPARATOR = ';';
const MAX_MODULUS = 2n ** 64n - 1n;

const ACTIONS = Object.fromEntries(RELABEL_ACTIONS.map((action) => [action, action])) as Record<string, RelabelAction>;
const NEEDS_TARGET: ReadonlySet<RelabelAction> = new Set([
  'replace',
  'hashmod',
  'lowercase',
  'uppercase',
  'keepequal',
  'dropequal',
]);
/** A label name with groups in it: any text but `$`, `{` and `}` around `$name` and `${name}`. */
const NAME_TEMPLATE = RE2JS.compile('(?:[^{}$]|\\$(?:\\{[^{}$]+\\}|[^{}$]+))+');
const KEYS = ['source_labels', 'separator', 'regex', 'modulus', 'target_label', 'replacement', 'action'] as const;

type Given = { readonly [Key in (typeof KEYS)[number]]?: ConfigNode };

/** The rules in the text of the file called `file`; none in an empty one. Throws ConfigError. */
export function parseRelabelConfig(text: string, file: string): readonly RelabelRule[] {
  const root = parseConfig(text, file);
  return root.isNothing ? [] : root.items().map(parseRule);
}

function parseRule(node: ConfigNode): RelabelRule {
  const given: Given = node.fields(...KEYS);
  const action = actionOf(given.action);
  const rule: RelabelRule = {
    action,
    sourceLabels: given.source_labels?.items().map(labelName) ?? [],
    separator: given.separator?.text() ?? DEFAULT_SEPARATOR,
    regex: compileAnchored(given.regex),
    targetLabel: given.target_label?.text() ?? '',
    replacement: given.replacement?.text() ?? DEFAULT_REPLACEMENT,
    modulus: given.modulus === undefined ? 0n : modulusOf(given.modulus),
    known: new Map(),
  };
  checkTarget(rule, given, node);
  checkOthers(rule, given, node);
  return rule;
}

/** In any case, as there. */
function actionOf(node: ConfigNode | undefined): RelabelAction {
  if (node === undefined) return 'replace';
  return ACTIONS[node.text().toLowerCase()] ?? node.choice(ACTIONS, 'relabel action');
}

function labelName(node: ConfigNode): string {
  const name = node.text();
  return name === '' || !name.isWellFormed() ? node.fail('a source label has no name') : name;
}

function compileAnchored(node: ConfigNode | undefined): RE2JS {
  const text = node?.text() ?? DEFAULT_REGEX;
  try {
    return RE2JS.compile(`^(?s:${text})$`);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = reason.replace(`^(?s:${text})$`, () => text);
    return (node as ConfigNode).fail(`regex: ${message}`, { cause });
  }
}

function modulusOf(node: ConfigNode): bigint {
  const text = node.text();
  const modulus = /^[0-9]+$/.test(text) ? BigInt(text) : -1n;
  return modulus >= 0n && modulus <= MAX_MODULUS ? modulus : node.fail('modulus: want an integer from 0 to 2^64 - 1');
}

function checkTarget({ action, targetLabel, replacement, modulus }: RelabelRule, given: Given, node: ConfigNode): void {
  if (action === 'hashmod' && modulus === 0n) (given.modulus ?? node).fail('hashmod requires a modulus that is not 0');
  if (NEEDS_TARGET.has(action) && targetLabel === '')
    (given.target_label ?? node).fail(`${action} requires target_label`);
  // With groups only where they are replaced.
  const isTemplate = action === 'replace' && targetLabel.includes('$');
  if (NEEDS_TARGET.has(action) && !(isTemplate ? NAME_TEMPLATE.testExact(targetLabel) : targetLabel.isWellFormed()))
    given.target_label?.fail(`target_label: ${JSON.stringify(targetLabel)} is no label name`);
  if (action === 'labelmap' && !NAME_TEMPLATE.testExact(replacement))
    given.replacement?.fail(`replacement: ${JSON.stringify(replacement)} is no label name`);
}

/** Fields that have no effect with an action are a mistake, as there; most defaults may stand there. */
function checkOthers({ action, sourceLabels }: RelabelRule, given: Given, node: ConfigNode): void {
  const refuse = (key: keyof Given, accepted?: string): void => {
    const extra = given[key];
    if (extra !== undefined && extra.text() !== accepted) extra.fail(`${key} has no effect with ${action}`);
  };
  if (action === 'lowercase' || action === 'uppercase') {
    refuse('replacement', DEFAULT_REPLACEMENT);
  } else if (action === 'keepequal' || action === 'dropequal') {
    refuse('regex');
    refuse('modulus', '0');
    refuse('separator', DEFAULT_SEPARATOR);
    refuse('replacement', DEFAULT_REPLACEMENT);
  } else if (action === 'labeldrop' || action === 'labelkeep') {
    if (sourceLabels.length > 0) (given.source_labels ?? node).fail(`source_labels has no effect with ${action}`);
    refuse('target_label', '');
    refuse('modulus', '0');
    refuse('separator', DEFAULT_SEPARATOR);
    refuse('replacement', DEFAULT_REPLACEMENT);
  }
}
