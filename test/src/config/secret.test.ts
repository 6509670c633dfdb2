import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { secretOf, secretText } from '../../../src/config/secret.ts';
import { createLog } from '../../../src/telemetry/log.ts';

test('a secret goes along with plain values to other threads', () => {
  const { secret } = structuredClone({ secret: secretOf('canary é') });
  expect(secretText(secret)).toBe('canary é');
});

test('nothing that prints a value shows its secret', () => {
  const value = { key: secretOf('canary') };
  const lines: string[] = [];
  createLog({ level: 'debug', format: 'json', clock: { nowMs: () => 0 }, write: (line) => void lines.push(line) }).info(
    `${value.key}`,
    { error: new Error(inspect(value, { depth: 9, showHidden: true })) },
  );
  const shown = [inspect(value, { depth: 9, showHidden: true }), JSON.stringify(value), String(value.key), ...lines];
  for (const text of shown) {
    expect(text).not.toContain('canary');
    expect(text).not.toContain(Buffer.from('canary').toString('hex'));
  }
});
