import fc from 'fast-check';
import { uncompressSync } from 'snappy';
import { expect, test } from 'vitest';
import { SnappyBlock } from '../../../src/read/snappy-block.ts';
import { ChunkCodec } from '../../../storage/kernel/chunk-codec.ts';

const codec = ChunkCodec.load();
const text = fc
  .tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 0, max: 5000 }))
  .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => bytes)));

test('what was appended in any pieces is one block to every decoder', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 6 }), fc.array(text, { maxLength: 3 }), (first, second) => {
      const block = new SnappyBlock();
      for (const bytes of first) block.append(bytes);
      const other = new SnappyBlock();
      for (const bytes of second) other.append(bytes);
      block.appendBlock(other);
      const expected = Buffer.concat([...first, ...second]);
      const encoded = Buffer.concat([...block.pieces()]);
      expect(block.length).toBe(expected.length);
      expect(Buffer.compare(uncompressSync(encoded) as Buffer, expected)).toBe(0);
      expect(Buffer.compare(codec.snappyDecode(encoded, 1e7), expected)).toBe(0);
    }),
  );
});
