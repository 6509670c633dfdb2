import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyedHash } from '../../../src/web/keyed-hash.ts';

test("it is Node's HMAC-SHA-256", () => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 64 });
  fc.assert(
    fc.property(key, fc.array(fc.string({ unit: 'binary', maxLength: 200 }), { minLength: 1 }), (key, texts) => {
      const keyed = new KeyedHash(key);
      for (const text of texts) {
        expect(keyed.digest(text)).toEqual(createHmac('sha256', key).update(text, 'utf8').digest());
      }
    }),
  );
});
