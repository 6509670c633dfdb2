/** Which windows of a tenant are to be cut, on the tenant's own data time. */
import * as L from '../kernel/layout.ts';
import type { SharedMemory } from '../kernel/shared-memory.ts';
import { WINDOW_MS } from '../model/time-range.ts';

/** A window is cut this long, in data time, after it ended: with it the head spans 3 h. */
const CUT_DELAY_MS: number = WINDOW_MS / 2;

/**
 * The windows of the tenant with this handle to cut now, oldest first: all that hold samples if it is to be cut whole,
 * else those that are old enough.
 */
export function dueWindows(memory: SharedMemory, tenant: number, isWhole: boolean): number[] {
  const held = heldWindows(memory, tenant);
  if (isWhole) return held.map(({ number }) => number);
  const newestMs = Number(BigInt.asIntN(64, memory.long(tenant + L.TENANT_NEWEST)));
  const sealedUntilMs = Number(memory.long(tenant + L.TENANT_SEALED_UNTIL));
  const old = held.filter(({ number }) => newestMs >= (number + 1) * WINDOW_MS + CUT_DELAY_MS);
  // Late samples alone are no reason: they wait for the next regular cut, or there would be a block for each of them.
  const isRegular = old.some(({ number, isLate }) => !isLate && (number + 1) * WINDOW_MS > sealedUntilMs);
  // Many windows are cut before there is no room for others.
  const isCrowded = held.length > memory.word(L.MAX_OPEN_WINDOWS) / 2;
  return isRegular || isCrowded ? old.map(({ number }) => number) : [];
}

interface HeldWindow {
  readonly number: number;
  readonly isLate: boolean;
}

/** The windows whose open generation holds samples, oldest first. */
function heldWindows(memory: SharedMemory, tenant: number): HeldWindow[] {
  const count = memory.word(tenant + L.TENANT_WINDOWS);
  const slots = memory.word(tenant + L.TENANT_WINDOW_SLOTS);
  const windows: HeldWindow[] = [];
  for (let i = 0; i < count; i++) {
    const slot = slots + i * L.WINDOW_BYTES;
    if (memory.word(slot + L.WINDOW_TOUCHED) === 0) continue;
    windows.push({
      number: memory.word(slot + L.WINDOW_NUMBER),
      isLate: memory.word(slot + L.WINDOW_LATE) !== 0,
    });
  }
  return windows.sort((a, b) => a.number - b.number);
}
