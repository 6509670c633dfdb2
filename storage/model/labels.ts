/**
 * The labels of a series: names and values alternating, [name, value, name, value, …], sorted by name, names unique
 * and not empty, values not empty. The order is that of the UTF-8 bytes, as everywhere in Prometheus; it differs from
 * JavaScript's string order above U+D7FF.
 */
export type Labels = readonly string[];

/** Compares two strings by their UTF-8 bytes: negative, zero or positive. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return x >= 0xd800 && y >= 0xd800 ? surrogatesLast(x) - surrogatesLast(y) : x - y;
  }
  return a.length - b.length;
}

/** UTF-16 puts surrogates (code points above U+FFFF) before U+E000–U+FFFF, UTF-8 after. */
function surrogatesLast(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** Compares two label sets as Prometheus does: pair by pair, name before value, a prefix before its extension. */
export function compareLabels(a: Labels, b: Labels): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a[i] as string;
    const y = b[i] as string;
    if (x !== y) return compareUtf8(x, y);
  }
  return a.length - b.length;
}

/** The value of a label, or '' if it is absent. */
export function labelValue(labels: Labels, name: string): string {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === name) return labels[i + 1] as string;
  return '';
}

/** `labels` with those of `external` added; on a clash the external one wins, as in Thanos. */
export function withExternalLabels(labels: Labels, external: Labels): Labels {
  if (external.length === 0) return labels;
  const merged: string[] = [];
  let i = 0;
  let j = 0;
  while (i < labels.length || j < external.length) {
    const order =
      i === labels.length ? 1 : j === external.length ? -1 : compareUtf8(labels[i] as string, external[j] as string);
    if (order < 0) merged.push(labels[i] as string, labels[i + 1] as string);
    else merged.push(external[j] as string, external[j + 1] as string);
    if (order <= 0) i += 2;
    if (order >= 0) j += 2;
  }
  return merged;
}
