import { getRandomValues } from 'node:crypto';

/** A source of random bytes; a test may give a seeded one. */
export interface Random {
  fill(target: Uint8Array): void;
}

export const systemRandom: Random = {
  fill(target) {
    getRandomValues(target);
  },
};
