/** Bodies of remote write 1.0, made by protobufjs and the snappy package: not by anything of ours. */
import { compressSync } from 'snappy';
import { wireHistogram } from './histogram-message.ts';
import type { PlainHistogram } from './oracle/histogram-chunk.ts';
import { WriteRequest } from './protocol.ts';
import { halvesOf, type LabelPairs, type Value } from './series.ts';

/** One series of a request. Labels are sent in the order given. */
export interface WrittenSeries {
  readonly labels: LabelPairs;
  readonly samples: readonly (readonly [timestampMs: number, value: Value])[];
  readonly histograms?: readonly PlainHistogram[];
}

/** The snappy-compressed WriteRequest. */
export function writeRequest(series: readonly WrittenSeries[]): Buffer<ArrayBuffer> {
  const timeseries = series.map(({ labels, samples, histograms = [] }) => ({
    labels: labels.map(([name, value]) => ({ name, value })),
    samples: samples.map(([timestamp, value]) => ({ timestamp, value: halvesOf(value) })),
    histograms: histograms.map((histogram) => wireHistogram(histogram, histogram.hint)),
  }));
  return compressSync(WriteRequest.encode({ timeseries }).finish()) as Buffer<ArrayBuffer>;
}
