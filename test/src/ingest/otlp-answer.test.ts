import { expect, test } from 'vitest';
import { errorStatus, exportResponse } from '../../../src/ingest/otlp-answer.ts';
import { OtlpResponse, OtlpStatus } from '../../support/otlp.ts';

test('a whole success is an empty response', () => {
  expect(exportResponse(0, '', 'protobuf')).toHaveLength(0);
  expect(exportResponse(0, '', 'json').toString()).toBe('{}');
});

test('a partial success says how many data points were rejected, and why', () => {
  expect(OtlpResponse.decode(exportResponse(300, 'no time ü', 'protobuf')).toJSON()).toEqual({
    partialSuccess: { rejectedDataPoints: '300', errorMessage: 'no time ü' },
  });
  expect(JSON.parse(exportResponse(300, 'no "time"', 'json').toString())).toEqual({
    partialSuccess: { rejectedDataPoints: '300', errorMessage: 'no "time"' },
  });
});

test('a success may have something to say', () => {
  expect(OtlpResponse.decode(exportResponse(0, 'unknown kind', 'protobuf')).toJSON()).toEqual({
    partialSuccess: { errorMessage: 'unknown kind' },
  });
});

test('an error is a Status', () => {
  expect(OtlpStatus.decode(errorStatus('cut number', 'protobuf')).toJSON()).toEqual({ message: 'cut number' });
  expect(errorStatus('cut number', 'json').toString()).toBe('{"message":"cut number"}');
});
