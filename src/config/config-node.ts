/**
 * A YAML configuration file, read strictly: an unknown key, a key given twice or a value of the wrong type is an error at
 * its line and column. Values are never shown in errors unless their field says that they may be: many are secrets.
 */
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { nearest } from './nearest.ts';
import { type Environment, expandPlaceholders } from './placeholders.ts';
import { ValueError } from './value-error.ts';

/** A configuration file that cannot be used: the whole sentence for the user, with file, line and column. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

interface Source {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly environment: Environment | undefined;
}

/**
 * Parses a file's text; `file` is its name in errors. YAML 1.1, as Go's yaml.v2 has it: `yes` is true. With an
 * `environment`, values may name its variables, see placeholders.ts. Throws ConfigError.
 */
export function parseConfig(text: string, file: string, environment?: Environment): ConfigNode {
  const lines = new LineCounter();
  // Pretty errors would quote the source, and with it its secrets.
  const document = parseDocument(text, { lineCounter: lines, version: '1.1', prettyErrors: false });
  const [mistake] = [...document.errors, ...document.warnings];
  if (mistake?.code === 'MULTIPLE_DOCS') throw errorAt({ file, lines }, mistake.pos[0], 'want one YAML document only');
  if (mistake !== undefined) throw errorAt({ file, lines }, mistake.pos[0], mistake.message);
  return new ConfigNode({ file, document, lines, environment }, document.contents as Node | null, '');
}

const BOOLEANS: Readonly<Record<string, boolean>> = { true: true, false: false };

/** One value of a configuration file, with its position. */
export class ConfigNode {
  readonly #source: Source;
  readonly #node: Node | null;
  /** Where it stands: `tls_server_config.cert_file`, or '' for the whole file. */
  readonly #path: string;

  constructor(source: Source, node: Node | null, path: string) {
    this.#source = source;
    this.#node = isAlias(node) ? (node.resolve(source.document) ?? null) : node;
    this.#path = path;
  }

  /** The last part of where it stands. */
  get name(): string {
    return this.#path.slice(this.#path.lastIndexOf('.') + 1);
  }

  /** The values under the keys that are given, of those that there may be. A key without a value is not given. */
  fields<Name extends string>(...names: readonly Name[]): { readonly [Field in Name]?: ConfigNode } {
    const given: { [Field in Name]?: ConfigNode } = {};
    for (const { key, keyNode, value } of this.#pairs()) {
      const name = names.find((known) => known === key);
      if (name === undefined) throw this.#unknown(key, keyNode, names);
      if (value !== undefined) given[name] = value;
    }
    return given;
  }

  /** Every key with its value, for a map whose keys the user chooses; undefined where there is no value. */
  entries(): (readonly [key: string, value: ConfigNode | undefined])[] {
    return this.#pairs().map(({ key, value }) => [key, value]);
  }

  items(): ConfigNode[] {
    const node = this.#node;
    if (!isSeq(node)) throw this.#wrongType('a list');
    return node.items.map((item, i) => new ConfigNode(this.#source, item as Node, `${this.#path}[${i}]`));
  }

  /** Any scalar, as it is written: `1` is '1' here, as in Go. */
  text(): string {
    const node = this.#node;
    if (!isScalar(node)) throw this.#wrongType('a string');
    return this.#expanded(node.source ?? String(node.value));
  }

  boolean(): boolean {
    const value = this.#scalar();
    if (typeof value !== 'boolean') throw this.#wrongType('true or false');
    return value;
  }

  integer(): number {
    const value = this.#scalar();
    if (!Number.isSafeInteger(value)) throw this.#wrongType('an integer');
    return value as number;
  }

  /** What `parseText` makes of the text; its ValueError becomes an error here, without the text. */
  parsed<Value>(parseText: (text: string) => Value): Value {
    try {
      return parseText(this.text());
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      return this.fail(`${this.name}: ${error.message}`, { cause: error });
    }
  }

  /** What the table has for the text. Shows the text if it has nothing. */
  choice<Value>(table: Readonly<Record<string, Value>>, noun: string): Value {
    const text = this.text();
    if (Object.hasOwn(table, text)) return table[text] as Value;
    return this.fail(`unknown ${noun} ${JSON.stringify(text)}: the nearest is ${nearest(text, Object.keys(table))}`);
  }

  /** Throws a ConfigError at this value. */
  fail(message: string, options?: ErrorOptions): never {
    throw errorAt(this.#source, this.#node?.range?.[0] ?? 0, message, options);
  }

  /** `file:line:column`. */
  get position(): string {
    return positionText(this.#source, this.#node?.range?.[0] ?? 0);
  }

  /** Whether nothing is given here: an empty file, or a key without a value. */
  get isNothing(): boolean {
    return this.#node === null || (isScalar(this.#node) && this.#node.value === null);
  }

  /** What the scalar stands for; one with a variable in it has the type of what it becomes. */
  #scalar(): unknown {
    const node = this.#node;
    if (!isScalar(node)) return undefined;
    if (typeof node.value !== 'string') return node.value;
    const expanded = this.#expanded(node.value);
    if (expanded === node.value) return expanded;
    return /^-?\d+$/.test(expanded) ? Number(expanded) : (BOOLEANS[expanded.toLowerCase()] ?? expanded);
  }

  #expanded(text: string): string {
    const { environment } = this.#source;
    if (environment === undefined) return text;
    try {
      return expandPlaceholders(text, environment);
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      return this.fail(error.message, { cause: error });
    }
  }

  #pairs(): { key: string; keyNode: Node; value: ConfigNode | undefined }[] {
    const node = this.#node;
    if (this.isNothing) return [];
    if (!isMap(node)) throw this.#wrongType('a map');
    return node.items.map((pair) => {
      const keyNode = pair.key as Node;
      const key = new ConfigNode(this.#source, keyNode, this.#path).text();
      const path = this.#path === '' ? key : `${this.#path}.${key}`;
      const value = new ConfigNode(this.#source, pair.value as Node | null, path);
      return { key, keyNode, value: value.isNothing ? undefined : value };
    });
  }

  #unknown(key: string, keyNode: Node, names: readonly string[]): ConfigError {
    const where = this.#path === '' ? '' : ` in ${this.#path}`;
    const text = `unknown key ${JSON.stringify(key)}${where}: the nearest is ${nearest(key, names)}`;
    return errorAt(this.#source, keyNode.range?.[0] ?? 0, text);
  }

  #wrongType(wanted: string): ConfigError {
    const node = this.#node;
    const got = isMap(node) ? 'a map' : isSeq(node) ? 'a list' : 'something else';
    const subject = this.#path === '' ? 'want' : `${this.#path}: want`;
    return errorAt(this.#source, node?.range?.[0] ?? 0, `${subject} ${wanted}, got ${got}`);
  }
}

type Place = Pick<Source, 'file' | 'lines'>;

function errorAt(place: Place, offset: number, message: string, options?: ErrorOptions): ConfigError {
  return new ConfigError(`${positionText(place, offset)}: ${message}`, options);
}

function positionText({ file, lines }: Place, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${file}:${Math.max(line, 1)}:${Math.max(col, 1)}`;
}
