/**
 * A secret that goes along with plain values: cloned to other threads with them, and shown by nothing that prints or
 * serializes them. That is what a KeyObject does.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';

export type Secret = KeyObject;

export function secretOf(text: string): Secret {
  return createSecretKey(text, 'utf8');
}

export function secretText(secret: Secret): string {
  return secret.export().toString('utf8');
}
