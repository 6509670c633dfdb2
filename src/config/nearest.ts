/** The candidate that shares most with `text`: pairs of neighbouring letters, as Dice counts them. `candidates` are not empty. */
export function nearest(text: string, candidates: readonly string[]): string {
  const likeness = new Map(
    candidates.map((candidate) => [candidate, likenessOf(text.toLowerCase(), candidate.toLowerCase())]),
  );
  return candidates.reduce((best, next) => ((likeness.get(next) ?? 0) > (likeness.get(best) ?? 0) ? next : best));
}

/** 1 for equal texts, 0 for texts that have no pair in common. */
function likenessOf(a: string, b: string): number {
  const rest = letterPairs(b);
  const total = letterPairs(a).length + rest.length;
  let shared = 0;
  for (const pair of letterPairs(a)) {
    const at = rest.indexOf(pair);
    if (at < 0) continue;
    rest.splice(at, 1);
    shared++;
  }
  return total === 0 ? 0 : (2 * shared) / total;
}

function letterPairs(text: string): string[] {
  return Array.from({ length: Math.max(text.length - 1, 0) }, (_, i) => text.slice(i, i + 2));
}
