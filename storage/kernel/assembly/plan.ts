/** The plan of a request: its series in the order of the message, found by the first walk and applied by the second. */
import * as L from '../layout';

// Tags of a series' fields of remote write 1.0, which also say what is in a plan.
export const LABEL: u8 = 0x0a; // field 1, length-delimited
export const SAMPLE: u8 = 0x12;
export const EXEMPLAR: u8 = 0x1a;
export const HISTOGRAM: u8 = 0x22;
export const HISTOGRAM_V2: u8 = 0x1a;
export const EXEMPLAR_V2: u8 = 0x22;
export const METADATA_V2: u8 = 0x2a; // 1.0 has no such field: what it has there is unknown, and passed over

/** So many unknown aliases are looked up together. */
export const FETCH_AHEAD: u32 = 16;
/** What was only touched ends up here, so that the reads are not optimized away. */
let fetched: u32 = 0;
export function touch(words: u32): void {
  fetched = words;
}

/** The address of an entry. */
@inline
export function planEntry(index: u32): usize {
  return <usize>L.PLAN + <usize>index * L.PLAN_ENTRY_BYTES;
}

/** How many samples the series of the plan have. */
export function plannedSamples(): u32 {
  const count = load<u32>(L.PLAN_COUNT);
  let samples: u32 = 0;
  for (let i: u32 = 0; i < count; i++) samples += load<u32>(planEntry(i), L.PLAN_SAMPLES) & ~L.HAS_EXEMPLARS;
  return samples;
}

/** Begins an empty plan, and the counts of its request. */
export function beginPlan(protocol: u32): void {
  store<u32>(L.PLAN_PROTOCOL, protocol);
  store<u32>(L.PLAN_NEXT, 0);
  store<u32>(L.PLAN_COUNT, 0);
  store<u32>(L.METADATA_COUNT, 0);
  memory.fill(L.OUT_RECEIVED, 0, L.OFFENDERS - L.OUT_RECEIVED);
  memory.fill(L.OUT_NEWEST, 0, L.OUT_END - L.OUT_NEWEST);
  store<i64>(L.OUT_NEWEST, -1);
  memory.fill(L.OUT_EXEMPLARS_DROPPED, 0, 4 * L.EXEMPLAR_WINDOWS);
}
