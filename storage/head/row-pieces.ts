/** A tenant's rows, piece by piece: for what is done with all of them in steps. */
import * as L from '../kernel/layout.ts';
import type { SharedMemory } from '../kernel/shared-memory.ts';

/** Some rows that lie together: `count` items of a segment of the list, from `index` on. */
export interface RowPiece {
  readonly segment: number;
  readonly index: number;
  readonly count: number;
}

/** The rows that the tenant with this handle has now, at most `most` in a piece. The list is not made anew meanwhile. */
export function* rowPieces(memory: SharedMemory, tenant: number, most: number): Generator<RowPiece> {
  let left = memory.loadWord(tenant + L.TENANT_ROWS + L.LIST_COUNT);
  let segment = memory.word(tenant + L.TENANT_ROWS + L.LIST_FIRST);
  while (left > 0) {
    const inSegment = Math.min(left, memory.word(segment + L.SEGMENT_CAPACITY));
    for (let index = 0; index < inSegment; index += most)
      yield { segment, index, count: Math.min(most, inSegment - index) };
    left -= inSegment;
    segment = memory.word(segment + L.SEGMENT_NEXT);
  }
}
