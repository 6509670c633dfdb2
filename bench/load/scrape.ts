/** One scrape of all series, sent as it is made. */
import type { Sender } from './sender.ts';
import type { Source } from './source.ts';

/** Bodies that are in memory at once: all of a scrape of a million series would be half a gigabyte. */
const BODIES_AT_ONCE = 16;

/** Resolves when all of it is answered. */
export async function sendScrape(
  sender: Sender,
  source: Source,
  seriesPerRequest: number,
  timestampMs: number,
): Promise<void> {
  for (let from = 0; from < source.count; ) {
    const bodies: Buffer[] = [];
    for (; from < source.count && bodies.length < BODIES_AT_ONCE; from += seriesPerRequest)
      bodies.push(source.body(from, Math.min(source.count, from + seriesPerRequest), timestampMs));
    await sender.sendStep(bodies);
  }
}
