import { expect, test } from 'vitest';
import { answerTo, badData, RequestError } from '../../../src/api/errors.ts';
import { TenantError } from '../../../src/tenants/tenant-id.ts';
import { CorruptionError, StorageError, type StorageErrorKind } from '../../../storage/index.ts';

const rows: [kind: StorageErrorKind, status: number, errorType: string, retryAfterS: number | undefined][] = [
  ['invalid', 400, 'bad_data', undefined],
  ['limit', 400, 'bad_data', undefined],
  ['not-found', 404, 'not_found', undefined],
  ['corrupt', 500, 'internal', undefined],
  ['unavailable', 503, 'unavailable', 2],
  ['closed', 503, 'unavailable', 5],
  ['locked', 503, 'unavailable', 5],
];
test.each(rows)('a storage error of kind %s is %d %s', (kind, status, errorType, retryAfterS) => {
  const answer = answerTo(new StorageError(kind, 'the text'));
  expect(answer).toEqual({
    status,
    errorType,
    message: 'the text',
    isOurs: status === 500,
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
});

test('damaged bytes are our fault and name their place', () => {
  const answer = answerTo(new CorruptionError('chunks/000001', 8, 'crc'));
  expect(answer).toMatchObject({ status: 500, isOurs: true, message: 'chunks/000001 at 8: crc' });
});

test('a refusal of the API keeps its status, headers and text', () => {
  const error = new RequestError(405, 'no', { headers: { allow: 'POST' } });
  expect(answerTo(error)).toMatchObject({ status: 405, message: 'no', headers: { allow: 'POST' }, isOurs: false });
  expect(answerTo(badData('x'))).toMatchObject({ status: 400, errorType: 'bad_data' });
  expect(answerTo(new TenantError('two tenants'))).toMatchObject({
    status: 400,
    errorType: 'bad_data',
    message: 'two tenants',
  });
});

test('an unknown error is 500 and says nothing to the client', () => {
  for (const error of [
    new TypeError('secret'),
    'secret',
    undefined,
    Object.assign(new Error('secret'), { statusCode: 503 }),
  ]) {
    expect(answerTo(error)).toMatchObject({
      status: 500,
      errorType: 'internal',
      message: 'internal error',
      isOurs: true,
    });
  }
});
