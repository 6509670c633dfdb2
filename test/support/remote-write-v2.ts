/** Bodies of remote write 2.0, made by protobufjs on the definition in proto/ and the snappy package: not by anything of ours. */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { compressSync } from 'snappy';
import { halvesOf, type LabelPairs, type Value } from './series.ts';

export const HEADERS_V2: Readonly<Record<string, string>> = {
  'content-type': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
  'x-prometheus-remote-write-version': '2.0.0',
};

const root = protobuf.loadSync(fileURLToPath(new URL('../../proto/write-v2.proto', import.meta.url)));
const WireRequest = root.lookupType('io.prometheus.write.v2.Request');
// It has the wire form of a double, and NaN payloads pass as bits.
(root.lookupType('io.prometheus.write.v2.Sample').fields.value as protobuf.Field).type = 'fixed64';

/** A series as the message has it. */
export interface RawSeriesV2 {
  readonly labelsRefs?: readonly number[];
  readonly samples?: readonly object[];
  readonly histograms?: readonly object[];
  readonly exemplars?: readonly object[];
  readonly metadata?: { readonly type?: number; readonly helpRef?: number; readonly unitRef?: number };
}

/** The snappy-compressed Request with these symbols and series, whether they make sense or not. */
export function rawRequestV2(symbols: readonly string[], timeseries: readonly RawSeriesV2[]): Buffer<ArrayBuffer> {
  return compressSync(WireRequest.encode({ symbols, timeseries }).finish()) as Buffer<ArrayBuffer>;
}

export function sampleV2(timestampMs: number, value: Value, startMs?: number): object {
  const sample = { timestamp: timestampMs, value: halvesOf(value) };
  return startMs === undefined ? sample : { ...sample, startTimestamp: startMs };
}

/** One series of a request, by its texts. Labels are sent in the order given. */
export interface WrittenSeriesV2 extends Omit<RawSeriesV2, 'labelsRefs' | 'samples' | 'metadata'> {
  readonly labels: LabelPairs;
  readonly samples?: readonly (readonly [timestampMs: number, value: Value, startMs?: number])[];
  readonly metadata?: { readonly type: number; readonly help?: string; readonly unit?: string };
}

/** The snappy-compressed Request, its symbols in the order of their first use. */
export function writeRequestV2(series: readonly WrittenSeriesV2[]): Buffer<ArrayBuffer> {
  const symbols = [''];
  const refOf = (text: string): number => {
    const known = symbols.indexOf(text);
    return known >= 0 ? known : symbols.push(text) - 1;
  };
  const timeseries = series.map(({ labels, samples = [], metadata, ...rest }) => ({
    ...rest,
    labelsRefs: labels.flatMap(([name, value]) => [refOf(name), refOf(value)]),
    samples: samples.map((sample) => sampleV2(...sample)),
    ...(metadata === undefined
      ? {}
      : {
          metadata: {
            type: metadata.type,
            helpRef: refOf(metadata.help ?? ''),
            unitRef: refOf(metadata.unit ?? ''),
          },
        }),
  }));
  return rawRequestV2(symbols, timeseries);
}
