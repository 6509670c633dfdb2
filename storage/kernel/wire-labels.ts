import { ByteWriter } from '../lib/bytes.ts';
import type { Labels } from '../model/labels.ts';

const LABEL = 0x0a; // TimeSeries.labels
const NAME = 0x0a; // Label.name
const VALUE = 0x12; // Label.value

/** The labels as fields of a remote write 1.0 TimeSeries. */
export function labelsToWire(labels: Labels): Uint8Array {
  const encoder = new TextEncoder();
  const wire = new ByteWriter();
  const pair = new ByteWriter();
  for (let i = 0; i < labels.length; i += 2) {
    pair.reset();
    for (const [tag, text] of [
      [NAME, labels[i]],
      [VALUE, labels[i + 1]],
    ] as const) {
      const bytes = encoder.encode(text);
      pair.u8(tag);
      pair.uvarint(bytes.length);
      pair.raw(bytes);
    }
    wire.u8(LABEL);
    wire.uvarint(pair.length);
    wire.raw(pair.bytes);
  }
  return wire.bytes;
}
