/** Which windows of a tenant are to be cut, on the tenant's own data time. */
import * as L from '../kernel/layout.ts';
import type { SharedMemory } from '../kernel/shared-memory.ts';
import { WINDOW_MS } from '../model/time-range.ts';

/** A window is cut this long, in data time, after it ended: with it the head spans 3 h. */
const CUT_DELAY_MS: number = WINDOW_MS / 2;
/** More windows than these are cut before there is no room for others. */
const CROWDED: number = L.MAX_WINDOWS / 2;

/**
 * The windows of the tenant with this handle to cut now, oldest first: all that hold samples if it is to be cut whole,
 * else those that are old enough.
 */
export function dueWindows(memory: SharedMemory, tenant: number, isWhole: boolean): number[] {
  const held = heldWindows(memory, tenant);
  if (isWhole) return held;
  const newestMs = Number(BigInt.asIntN(64, memory.long(tenant + L.TENANT_NEWEST)));
  const sealedUntilMs = Number(memory.long(tenant + L.TENANT_SEALED_UNTIL));
  const old = held.filter((window) => newestMs >= (window + 1) * WINDOW_MS + CUT_DELAY_MS);
  // Late samples alone are no reason: they wait for the next regular cut, or there would be a block for each of them.
  const isRegular = old.some((window) => (window + 1) * WINDOW_MS > sealedUntilMs);
  return isRegular || held.length > CROWDED ? old : [];
}

/** The windows whose open generation holds samples, oldest first. */
function heldWindows(memory: SharedMemory, tenant: number): number[] {
  const count = memory.word(tenant + L.TENANT_WINDOWS);
  const slots = memory.word(tenant + L.TENANT_WINDOW_SLOTS);
  const windows: number[] = [];
  for (let i = 0; i < count; i++) {
    const slot = slots + i * L.WINDOW_BYTES;
    if (memory.word(slot + L.WINDOW_TOUCHED) !== 0) windows.push(memory.word(slot + L.WINDOW_NUMBER));
  }
  return windows.sort((a, b) => a - b);
}
