/** What the parts of a bucket's configuration are read with. */
import type { ConfigNode } from '../config/config-node.ts';
import { type Secret, secretOf } from '../config/secret.ts';

export interface ConfigReading {
  /** What is accepted, but not what its author may think; the parts add to it. */
  readonly warnings: string[];
  /** A file that the configuration names. Throws an Error that names it. */
  readonly readFile: (path: string) => Buffer;
}

type Given = Readonly<Record<string, ConfigNode | undefined>>;

/** Warns of each key that is given, but changes nothing here; `reasons` says why, by key. */
export function warnWithoutEffect({ warnings }: ConfigReading, given: Given, reasons: Record<string, string>): void {
  for (const [key, reason] of Object.entries(reasons)) {
    const node = given[key];
    if (node !== undefined && !isUnset(node)) warnings.push(`${node.position}: ${key} has no effect: ${reason}`);
  }
}

/** The text, or undefined: in the files of Thanos's documents every key stands with an empty value. */
export function textOf(node: ConfigNode | undefined): string | undefined {
  return node?.text() || undefined;
}

export function secretTextOf(node: ConfigNode | undefined): Secret | undefined {
  const text = textOf(node);
  return text === undefined ? undefined : secretOf(text);
}

/** A whole number that is not negative; 0 and nothing are `unset`. */
export function countOf(node: ConfigNode | undefined, unset: number): number {
  const count = node?.integer() ?? 0;
  if (count < 0) return (node as ConfigNode).fail(`${(node as ConfigNode).name}: want 0 or more`);
  return count === 0 ? unset : count;
}

/** The bytes of the file that the value names. Throws ConfigError at it. */
export function fileOf(node: ConfigNode, { readFile }: ConfigReading): Buffer {
  try {
    return readFile(node.text());
  } catch (error) {
    return node.fail(`${node.name}: cannot read the file: ${(error as Error).message}`, { cause: error });
  }
}

/** What Thanos's documents show as the value of a key that is not used. */
function isUnset(node: ConfigNode): boolean {
  return ['', 'false', '0', '0s'].includes(node.text());
}
