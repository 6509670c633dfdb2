import { expect, test } from 'vitest';
import { encodeFrame, findMagic, frameAt, frameBytesAt, MAX_PAYLOAD_BYTES } from '../../../storage/wal/frame.ts';

const frame = { generation: 3, sequence: 2 ** 33 + 5, payload: new TextEncoder().encode('record') };

test('a frame comes back whole, also from the middle of other bytes', () => {
  const bytes = new Uint8Array(100);
  bytes.set(encodeFrame(frame), 10);
  expect(frameAt(bytes, 10)).toEqual(frame);
  expect(frameBytesAt(bytes, 10)).toBe(30);
  expect(findMagic(bytes, 0)).toBe(10);
  expect(findMagic(bytes, 11)).toBe(-1);
});

test('the layout is the documented one', () => {
  const { buffer } = encodeFrame(frame);
  const view = new DataView(buffer as ArrayBuffer);
  expect(view.getUint32(4, true)).toBe(6);
  expect(view.getUint32(8, true)).toBe(3);
  expect(view.getBigUint64(12, true)).toBe(BigInt(frame.sequence));
  expect(new TextDecoder().decode(new Uint8Array(buffer, 24))).toBe('record');
});

test('a flip of any bit makes it no frame, or one that wants other bytes', () => {
  const whole = encodeFrame(frame);
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const bytes = new Uint8Array(200);
    bytes.set(whole);
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    const found = frameAt(bytes, 0);
    expect(found === undefined || 'needed' in found, `bit ${bit}`).toBe(true);
  }
});

test('a cut frame says how many bytes it needs', () => {
  const whole = encodeFrame(frame);
  for (let length = 0; length < whole.length; length++) {
    expect(frameAt(whole.subarray(0, length), 0)).toEqual({ needed: length < 24 ? 24 : 30 });
  }
});

test('a length that no frame has is not waited for', () => {
  const bytes = encodeFrame(frame);
  for (const length of [MAX_PAYLOAD_BYTES + 1, 0xffffffff]) {
    new DataView(bytes.buffer).setUint32(4, length, true);
    expect(frameAt(bytes, 0)).toBeUndefined();
  }
  expect(() => encodeFrame({ ...frame, payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) })).toThrow(RangeError);
});
