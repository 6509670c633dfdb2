/** Time as the engine sees it; a test may hold it still or move it. */
export interface Clock {
  /** Milliseconds since 1970, UTC. May jump. */
  nowMs(): number;
  /** Milliseconds from an arbitrary origin; never goes back. For durations and timeouts. */
  monotonicMs(): number;
  /** Calls `callback` every `intervalMs` until the returned function is called; does not keep the process alive. */
  every(intervalMs: number, callback: () => void): () => void;
  /** Calls `callback` once after `delayMs` unless the returned function is called before. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  every(intervalMs, callback) {
    const timer = setInterval(callback, intervalMs);
    timer.unref();
    return () => clearInterval(timer);
  },
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
