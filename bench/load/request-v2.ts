/** Remote write 2.0 bodies as a Prometheus sends them: symbols in the order of their first use, metadata with every series. */

/** Bytes that a series needs at most beside its refs and sample. */
const SERIES_BYTES = 64;
const METRIC_TYPE = { counter: 1, gauge: 2 } as const;

/** A series as it is sent; the type and help of its metric go with it. */
export interface SeriesV2 {
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly type: keyof typeof METRIC_TYPE;
  readonly help: string;
}

/** The io.prometheus.write.v2.Request with one sample for each series. */
export function encodeRequestV2(
  series: readonly SeriesV2[],
  valueAt: (index: number) => number,
  timestampMs: number,
): Buffer {
  const symbols = new Map<string, number>([['', 0]]);
  const refOf = (text: string): number => {
    const known = symbols.get(text);
    if (known !== undefined) return known;
    symbols.set(text, symbols.size);
    return symbols.size - 1;
  };
  const parts = series.map(({ labels, type, help }, i) => {
    const metadata = [0x08, METRIC_TYPE[type], 0x18, ...varint(refOf(help))];
    const refs = labels.flatMap(([name, value]) => [...varint(refOf(name)), ...varint(refOf(value))]);
    const time = varint(timestampMs);
    const bytes = Buffer.alloc(refs.length + SERIES_BYTES);
    let at = put(bytes, 0, [0x0a, ...varint(refs.length), ...refs, 0x12, 10 + time.length, 0x09]);
    at = bytes.writeDoubleLE(valueAt(i), at);
    at = put(bytes, at, [0x10, ...time, 0x2a, metadata.length, ...metadata]);
    return Buffer.concat([Buffer.from([0x2a, ...varint(at)]), bytes.subarray(0, at)]);
  });
  const texts = [...symbols.keys()].map((symbol) => {
    const text = Buffer.from(symbol);
    return Buffer.concat([Buffer.from([0x22, ...varint(text.length)]), text]);
  });
  return Buffer.concat([...texts, ...parts]);
}

function put(target: Buffer, at: number, bytes: readonly number[]): number {
  target.set(bytes, at);
  return at + bytes.length;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  bytes.push(rest);
  return bytes;
}
