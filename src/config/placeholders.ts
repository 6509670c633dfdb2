/**
 * Variables of the environment in a configuration's values: `$(NAME)`, as Thanos expands it, `${NAME}` and
 * `${NAME:-default}`. They are expanded in values that are parsed already, so that no secret can break the YAML. `$${` is
 * a `${` that stands for itself; anything else with a dollar sign is left as it is.
 */
import { ValueError } from './value-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const PLACEHOLDER = /\$\$\{|\$\((\w+)\)|\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g;

/**
 * The text with its variables. A newline at the end of a variable is dropped: files that become variables have one. Throws
 * ValueError for a variable that is not set, or to nothing, and has no default.
 */
export function expandPlaceholders(text: string, environment: Environment): string {
  return text.replaceAll(PLACEHOLDER, (whole, inParentheses?: string, inBraces?: string, ifEmpty?: string) => {
    const name = inParentheses ?? inBraces;
    if (name === undefined) return whole.slice(1);
    const value = environment[name]?.replace(/\r?\n$/, '');
    if (value !== undefined && value !== '') return value;
    if (ifEmpty !== undefined) return ifEmpty;
    const reason = value === undefined ? 'is not set' : 'is empty';
    throw new ValueError(`the variable ${name} ${reason} in the environment; a value for that: \${${name}:-value}`);
  });
}
