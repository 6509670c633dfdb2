/**
 * Replacement texts as Go's regexp.Expand has them: `$1`, `${1}`, `$name`, `${name}`, and `$$` for a dollar. A name is as
 * long as it can be, so `$1x` is `${1x}`; what names no group that took part is ''. A dollar before anything else is itself.
 * Source: Go, src/regexp/regexp.go, expand and extract.
 */

/** The group of a match by number or name; undefined if there is none or it took no part. */
export type GroupOf = (group: number | string) => string | undefined;

const REFERENCE = /\$(?:(\$)|\{([\p{L}\p{Nd}_]+)\}|([\p{L}\p{Nd}_]+))/gu;
/** More digits than that, or a zero before others, make a name. */
const NUMBER = /^(?:0|[1-9][0-9]{0,8})$/;

/** The template with the groups of a match in it. */
export function expandTemplate(template: string, groupOf: GroupOf): string {
  return template.replaceAll(REFERENCE, (_, dollar?: string, braced?: string, bare?: string) => {
    if (dollar !== undefined) return '$';
    const name = (braced ?? bare) as string;
    return groupOf(NUMBER.test(name) ? Number(name) : name) ?? '';
  });
}
