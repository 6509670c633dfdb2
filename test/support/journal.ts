/** What a sender knows: every sample it sent, with the answer it got. Afterwards the store is held against it. */
import type { WrittenSeries } from './remote-write.ts';
import { bitsOf, labelText, type SeriesMap } from './series.ts';

/** acknowledged: must be there. refused: must not. unknown (5xx, or no answer): may be. */
export type Outcome = 'acknowledged' | 'refused' | 'unknown';

/** What an HTTP status means for the samples of a valid request. */
export function outcomeOf(status: number): Outcome {
  if (status < 300) return 'acknowledged';
  return status < 500 ? 'refused' : 'unknown';
}

interface Entry {
  readonly bits: bigint;
  outcome: Outcome;
  /** When the last answer came, by performance.now(). */
  atMs: number;
}

/** The record of one or several senders. A sample sent again keeps the better of its answers. */
export class Journal {
  readonly #series = new Map<string, Map<number, Entry>>();
  readonly #counts: Record<Outcome, number> = { acknowledged: 0, refused: 0, unknown: 0 };

  record(request: readonly WrittenSeries[], outcome: Outcome): void {
    this.#counts[outcome]++;
    const atMs = performance.now();
    for (const { labels, samples } of request) {
      const key = labelText(labels);
      const entries = this.#series.get(key) ?? new Map<number, Entry>();
      this.#series.set(key, entries);
      for (const [timestampMs, value] of samples) {
        const before = entries.get(timestampMs);
        if (before === undefined) entries.set(timestampMs, { bits: bitsOf(value), outcome, atMs });
        else if (before.outcome !== 'acknowledged') Object.assign(before, { outcome, atMs });
      }
    }
  }

  /** How many requests ended this way. */
  count(outcome: Outcome): number {
    return this.#counts[outcome];
  }

  /** What was acknowledged later than this may be missing from now on. */
  forgive(afterMs: number): void {
    for (const entries of this.#series.values())
      for (const entry of entries.values())
        if (entry.outcome === 'acknowledged' && entry.atMs > afterMs) entry.outcome = 'unknown';
  }

  /** What the store has otherwise than its answers promised, for people; none if it kept its word. */
  violations(stored: SeriesMap, limit = 5): string[] {
    const found: string[] = [];
    for (const [labels, entries] of this.#series) {
      const { timestamps = [], bits = [] } = stored.get(labels) ?? {};
      const present = new Map(timestamps.map((timestampMs, row) => [timestampMs, bits[row]]));
      if (present.size !== timestamps.length) found.push(`${labels}: ${timestamps.length - present.size} doubled`);
      for (const [timestampMs, { bits: sent, outcome }] of entries) {
        const got = present.get(timestampMs);
        present.delete(timestampMs);
        if (got === undefined && outcome === 'acknowledged') found.push(`${labels} @${timestampMs}: lost`);
        if (got !== undefined && outcome === 'refused') found.push(`${labels} @${timestampMs}: refused, but there`);
        if (got !== undefined && got !== sent) found.push(`${labels} @${timestampMs}: ${got}, sent ${sent}`);
        if (found.length >= limit) return found;
      }
      if (present.size > 0) found.push(`${labels}: ${present.size} samples that nobody sent`);
    }
    for (const labels of stored.keys()) if (!this.#series.has(labels)) found.push(`${labels}: nobody sent it`);
    return found.slice(0, limit);
  }
}
