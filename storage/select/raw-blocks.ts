/**
 * Which blocks of a snapshot an answer is made of. Thanos keeps downsampled blocks beside the raw ones, and when the raw ones
 * are deleted, they are all there is. Their chunks hold aggregates (encoding 255), not samples: they must not be mixed into
 * raw answers and are left out. Where that leaves a part of the range without any block, the answer says so.
 */
import type { BlockPlace } from '../block/block-place.ts';
import type { Snapshot } from '../head/snapshots.ts';

/** The blocks with raw samples, in their order; `remark` hears of a time that only downsampled ones hold. */
export function rawBlocks({ blocks, range }: Snapshot, remark: (text: string) => void): BlockPlace[] {
  const raw = blocks.filter((place) => !isDownsampled(place));
  if (raw.length === blocks.length) return raw;
  const covered = raw.map(({ meta }) => meta).sort((a, b) => a.minTime - b.minTime);
  const isCovered = ({ meta }: BlockPlace): boolean => {
    let fromMs = Math.max(meta.minTime, range.minTimeMs);
    const toMs = Math.min(meta.maxTime, range.maxTimeMs);
    for (const { minTime, maxTime } of covered) if (minTime <= fromMs) fromMs = Math.max(fromMs, maxTime);
    return fromMs >= toMs;
  };
  const lost = blocks.filter((place) => isDownsampled(place) && !isCovered(place));
  if (lost.length > 0) {
    const names = lost.slice(0, 3).map(({ meta }) => meta.ulid);
    remark(`downsampled blocks are not read, and for a part of the range there are no others: ${names.join(', ')}`);
  }
  return raw;
}

function isDownsampled({ meta }: BlockPlace): boolean {
  return (meta.thanos?.downsample.resolution ?? 0) > 0;
}
