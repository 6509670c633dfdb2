/**
 * What becomes of a series before it is stored: the host says it once for each alias, and again when its policy has
 * changed. Between two replicas of a pair the samples of the elected one are stored.
 */
import * as L from '../layout';
import { labelCount, measure, readLabels } from './labels';
import { planEntry } from './plan';
import { allocate } from './memory';

/** Says under which labels a series of a tenant is stored, given `count` labels that `readLabels` left. See layout.ts. */
// @ts-ignore: decorator
@external("host", "admit")
declare function ask(tenant: u32, count: u32): u32;

/** Of the series that was admitted last: whether the policy drops it, and the replica that sends it, or 0. */
export let isDropped: bool = false;
export let sender: usize = 0;

/** Asks for the labels that `readLabels` left, and leaves those to store in their place. 0 or the reason to refuse them. */
export function admit(tenant: usize): u32 {
  store<u32>(L.ADMIT_REPLICA, 0);
  const answer = ask(<u32>tenant, labelCount);
  sender = load<u32>(L.ADMIT_REPLICA);
  isDropped = answer === L.ADMIT_DROPPED;
  if (isDropped || answer === L.ADMIT_UNCHANGED) return 0;
  const problem = answer === L.ADMIT_TOO_LONG ? L.REJECT_SERIES_TOO_LONG : readLabels(L.ADMITTED, answer);
  if (problem === 0) return 0;
  measure(problem);
  return L.REJECT_RELABELLED;
}

/** A replica that is not elected. Replicas are never forgotten. */
export function makeReplica(): usize {
  return allocate(L.REPLICA_BYTES);
}

@inline
export function isElected(replica: usize): bool {
  return load<u32>(replica, L.REPLICA_ELECTED) !== 0;
}

/** Notes that a replica's samples are stored up to a time. */
@inline
export function noteNewest(replica: usize, time: i64): void {
  if (time > load<i64>(replica, L.REPLICA_NEWEST)) store<i64>(replica, time, L.REPLICA_NEWEST);
}

/** Begins a request: lists the replicas that send the planned series whose aliases are known. */
export function meetReplicas(): void {
  store<u32>(L.HA_REQUEST, load<u32>(L.HA_REQUEST) + 1);
  store<u32>(L.MET_COUNT, 0);
  const count = load<u32>(L.PLAN_COUNT);
  for (let i: u32 = 0; i < count; i++) {
    const alias: usize = load<u32>(planEntry(i), L.PLAN_ALIAS);
    if (alias !== 0 && load<u32>(alias, L.ALIAS_REPLICA) !== 0) meet(load<u32>(alias, L.ALIAS_REPLICA));
  }
}

/** Adds a replica to MET_REPLICAS if the request at work has not yet. */
@inline
export function meet(replica: usize): void {
  const request = load<u32>(L.HA_REQUEST);
  if (load<u32>(replica, L.REPLICA_REQUEST) === request) return;
  store<u32>(replica, request, L.REPLICA_REQUEST);
  const met = load<u32>(L.MET_COUNT);
  store<u32>(L.MET_REPLICAS + (met << 2), <u32>replica);
  store<u32>(L.MET_COUNT, met + 1);
}
