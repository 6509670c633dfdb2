import { ValueError } from './value-error.ts';

const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const LABEL = /^([^=]*)=("(?:\\.|[^"\\])*")$/;

/** Returns `name` if a label may have it: Prometheus' rule, and nothing that begins with `__`. Throws ValueError. */
export function parseLabelName(name: string): string {
  if (!LABEL_NAME.test(name)) throw new ValueError('want a label name: letters, digits and _, no digit first');
  if (name.startsWith('__')) throw new ValueError('label names that begin with __ are reserved');
  return name;
}

/** Labels written as in Thanos, one `name="value"` each, as sorted [name, value, …]. Throws ValueError. */
export function parseExternalLabels(texts: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const text of texts) {
    const [name, value] = parseLabel(text);
    if (byName.has(name)) throw new ValueError(`the label ${name} is given twice`);
    byName.set(name, value);
  }
  // Names are ASCII, so this is the order of their bytes.
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).flat();
}

function parseLabel(text: string): [name: string, value: string] {
  const parts = LABEL.exec(text);
  if (parts === null) throw new ValueError(`want name="value"; in a shell quote all of it: --label='region="eu"'`);
  const name = parseLabelName(parts[1] as string);
  const value = unquote(parts[2] as string);
  if (value === '') throw new ValueError(`the value of ${name} is empty, which means no label`);
  return [name, value];
}

function unquote(quoted: string): string {
  try {
    const value: unknown = JSON.parse(quoted);
    if (typeof value === 'string' && value.isWellFormed()) return value;
  } catch {
    // Said below.
  }
  throw new ValueError('the value in quotes has an escape that is not one of \\" \\\\ \\n \\t \\r \\uXXXX');
}
