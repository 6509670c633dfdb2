/**
 * Which times a sample may have: from 0 to a little after now. What is a time of now in another unit is refused by name,
 * also where it could be an old time in milliseconds: a sender that counts in seconds would fill January 1970.
 */
import * as L from '../layout';
import { newestHistogram } from './item-list';

const DAY_MS: i64 = 86400000;
const MAX_TIME: i64 = 9007199254740992; // times go through doubles

let now: i64 = 0;
let latest: i64 = 0;
let plainFrom: i64 = 0;
/** What a series has already while a gap is filled; −1 otherwise. */
let notNeeded: i64 = -1;

/** For the calls that follow: `latestTime` is the newest time that is accepted. */
export function setLatest(latestTime: i64): void {
  latest = latestTime;
  now = latest - load<i64>(L.FUTURE_MS);
  // Up to here a time may be seconds; what is within a day of now is milliseconds, also while the clock is near 0.
  plainFrom = max<i64>(min<i64>(now / 1000 + DAY_MS / 1000, now - DAY_MS), -1) + 1;
  notNeeded = -1;
}

/** For the samples that follow: only what is newer than all that a row has in order is needed. */
export function fillFrom(row: usize): void {
  const open = row + L.ROW_OPEN;
  if (notNeeded >= 0) setLatest(latest);
  const newest = load<u64>(open, L.OPEN_PUBLISHED) === 0 ? <i64>-1 : load<i64>(open, L.OPEN_LAST_TIME);
  notNeeded = max<i64>(newest, newestHistogram(row));
  plainFrom = max<i64>(plainFrom, notNeeded + 1);
}

/** Whether a time needs no second look: nearly every one. */
@inline
export function isPlain(time: i64): bool {
  return time >= plainFrom && time <= latest;
}

/** Why a time that is not plain is refused; 0 if it is not. */
export function judgeTime(time: i64): u32 {
  if (time < 0) return L.REJECT_NEGATIVE_TIME;
  if (time <= notNeeded) return L.REJECT_NOT_NEEDED;
  if (time < plainFrom && isNearNow(time, 1000, 1)) return L.REJECT_TIME_UNIT;
  if (time <= latest) return 0;
  if (isNearNow(time, 1, 1000) || isNearNow(time, 1, 1000000)) return L.REJECT_TIME_UNIT;
  return time > MAX_TIME ? L.REJECT_TIME_RANGE : L.REJECT_FUTURE;
}

/** Whether a time, in a unit of so many milliseconds or parts of one, is within a day of now. */
function isNearNow(time: i64, milliseconds: i64, parts: i64): bool {
  const distance = (time / parts) * milliseconds - now;
  return distance <= DAY_MS && distance >= -DAY_MS;
}
