/** What belongs to series beside their samples. */

/** A link from a sample to a trace; `message` is the Exemplar of proto/types.proto, as it was sent. */
export interface StoredExemplar {
  readonly timeMs: number;
  readonly message: Uint8Array;
}

/** The samples from `timeMs` on have been counted since `startMs`; 0 if that is not known. */
export interface StartTime {
  readonly timeMs: number;
  readonly startMs: number;
}

/** Of one series: a float and a histogram of it may have been counted since different times. Both in time order. */
export interface StartTimes {
  readonly floats: readonly StartTime[];
  readonly histograms: readonly StartTime[];
}

/** What a metric family is, in the words of its senders. */
export interface MetricMetadata {
  readonly family: string;
  /** As in the exposition formats: counter, gauge, histogram …; unknown if it was not said. */
  readonly type: string;
  readonly help: string;
  readonly unit: string;
}
