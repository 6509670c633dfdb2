import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { transcodeJson } from '../../../src/ingest/otlp-json.ts';
import { checkMessage } from '../../../src/ingest/otlp-protobuf.ts';
import { EXPORT_REQUEST } from '../../../src/ingest/otlp-schema.ts';
import { StorageError } from '../../../storage/index.ts';
import { translateJson } from '../../support/otlp.ts';

const MIB = 1024 * 1024;
const transcode = (json: string | Uint8Array, limit = 32 * MIB): Uint8Array =>
  transcodeJson(Buffer.from(json as string), EXPORT_REQUEST, limit);

const metric = (members: string): string =>
  `{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"x",${members}}]}]}]}`;
const point = (members: string): string =>
  metric(`"gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000000",${members}}]}`);
const value = (json: string): string => point(`"asInt":1,"attributes":[{"key":"v","value":${json}}]`);

describe('JSON is refused', () => {
  const rows: [what: string, json: string | Uint8Array, text: RegExp][] = [
    ['an empty body', '', /^json: expected "\{" at byte 0$/],
    ['an array', '[]', /^json: expected "\{" at byte 0$/],
    ['a word', 'null', /^json: expected "\{" at byte 0$/],
    ['a byte order mark', '\ufeff{}', /^json: expected "\{" at byte 0$/],
    ['half an object', '{"resourceMetrics":[{', /^json: expected "\\"" at byte 21$/],
    ['more after the end', '{} {}', /^json: more after the end at byte 3$/],
    ['a comma before the end', '{"a":1,}', /^json: expected "\\"" at byte 7$/],
    ['no comma', '{"a":1 "b":2}', /^json: expected "," or "\}" at byte 7$/],
    ['no colon', '{"a" 1}', /^json: expected ":" at byte 5$/],
    ['names without quotes', '{a:1}', /^json: expected "\\"" at byte 1$/],
    ['an object for an array', '{"resourceMetrics":{}}', /^json: expected "\[" at byte 19$/],
    ['a number for a message', '{"resourceMetrics":[1]}', /^json: expected "\{" at byte 20$/],
    ['null in an array', '{"resourceMetrics":[null]}', /^json: expected "\{" at byte 20$/],
    ['a number for a string', metric('"unit":1'), /^json: expected "\\"" at byte \d+$/],
    [
      'a string for a boolean',
      metric('"sum":{"isMonotonic":"true"}'),
      /is_monotonic is neither true nor false|expected a value/,
    ],
    ['a word for an integer', point('"asInt":"seven"'), /^json: as_int is not sfixed64 at byte \d+$/],
    ['an integer that is none', point('"asInt":1.5'), /^json: as_int is not sfixed64/],
    ['an integer beyond 64 bits', point('"asInt":"9223372036854775808"'), /^json: as_int is not sfixed64/],
    ['an integer of a megabyte', point(`"asInt":"${'9'.repeat(MIB)}"`), /^json: as_int is not sfixed64/],
    ['a negative time', point('"flags":0').replace('"17', '"-17'), /^json: time_unix_nano is not fixed64/],
    ['flags beyond 32 bits', point('"flags":4294967296'), /^json: flags is not uint32/],
    [
      'a temporality that is not known',
      metric('"sum":{"aggregationTemporality":"NONE"}'),
      /aggregation_temporality is not enum/,
    ],
    ['a double beyond 64 bits', point('"asDouble":1e999'), /^json: as_double is not a double/],
    ['a double in hexadecimal', point('"asDouble":"0x10"'), /^json: as_double is not a double/],
    ['a double with a leading zero', point('"asDouble":01'), /^json: as_double is not a double/],
    ['a bare NaN', point('"asDouble":NaN'), /^json: as_double is not a double/],
    ['bytes that are not base64', value('{"bytesValue":"*"}'), /^json: bytes_value is not base64/],
    ['a bad escape', metric('"unit":"\\x"'), /^json: bad escape in a string at byte \d+$/],
    ['a control character', metric('"unit":"\n"'), /^json: control character in a string at byte \d+$/],
    ['a cut string', '{"abc', /^json: cut string at byte 2$/],
    ['a cut escape', '{"abc\\', /^json: cut string at byte 2$/],
    ['half a surrogate pair', metric('"unit":"\\ud800"'), /^json: half a surrogate pair in a string at byte \d+$/],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), /^json: the body is not valid UTF-8$/],
    [
      'two values of a data point',
      point('"asInt":1,"asDouble":1'),
      /^json: asDouble beside another value at byte \d+$/,
    ],
    ['a resource twice', '{"resourceMetrics":[{"resource":{},"resource":{}}]}', /^json: resource beside another value/],
    ['an unknown word', '{"a":undefined}', /^json: expected a value at byte 5$/],
    ['an unknown field without end', `{"a":${'['.repeat(100_000)}`, /^json: nested deeper than 64 at byte \d+$/],
    [
      'values in values',
      value(`${'{"arrayValue":{"values":['.repeat(1000)}`),
      /^json: nested deeper than 64 at byte \d+$/,
    ],
    ['objects in objects', `${'{"a":'.repeat(100_000)}`, /^json: nested deeper than 64 at byte \d+$/],
  ];
  test.each(rows)('%s', (_, json, text) => {
    expect(() => transcode(json)).toThrow(StorageError);
    expect(() => transcode(json)).toThrow(text);
  });

  test('what becomes longer than the limit as protobuf', () => {
    const json = metric(`"histogram":{"dataPoints":[{"explicitBounds":[${'1,'.repeat(10_000)}1]}]}`);
    expect(transcode(json, 100_000).length).toBeGreaterThan(80_000);
    expect(() => transcode(json, 80_000)).toThrow(/^the request takes more than 80000 bytes as protobuf$/);
  });
});

describe('JSON is taken', () => {
  const sample = (text: string): string[] => [`x{} ${text}@1700000000000`];
  const rows: [what: string, json: string, samples: string[]][] = [
    ['with nothing in it', ' { } ', []],
    ['with null for what is not there', '{"resourceMetrics":null}', []],
    ['with integers as numbers', point('"asInt":-7'), sample('-7')],
    ['with integers in other notations', point('"asInt":1.2e3'), sample('1200')],
    ['with doubles as strings', point('"asDouble":"1.5"'), sample('1.5')],
    ['with infinities', point('"asDouble":"-Infinity"'), sample('-Infinity')],
    ['with minus zero', point('"asDouble":-0'), sample('-0')],
    ['with names of the definition', point('"as_int":"1"').replaceAll('dataPoints', 'data_points'), sample('1')],
    ['with white space anywhere', point('"asInt" :\t1').replaceAll(/[{[\]},]/g, '\n $& \r'), sample('1')],
    ['with escapes in names and values', point('"as\\u0049nt":1').replace('"x"', '"\\u0078"'), sample('1')],
    [
      'with fields that are not known',
      point(
        '"asInt":1,"exemplars":[{"traceId":"5B8E","filteredAttributes":[]}],"__proto__":{"asInt":2},"toString":"",'.concat(
          '"constructor":[[],{},-1.5e-3,true,false,null,"\\""]',
        ),
      ),
      sample('1'),
    ],
    [
      'with a temporality by name',
      metric(
        '"sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE","dataPoints":[{"timeUnixNano":1000000000,"asInt":1}]}',
      ),
      ['x{} 1@1000'],
    ],
    ['with base64 in the alphabet of URLs', value('{"bytesValue":"_-8"}'), ['x{v="/+8="} 1@1700000000000']],
    [
      'with a value of 20 levels',
      value(`${'{"arrayValue":{"values":['.repeat(20)}${']}}'.repeat(20)}`),
      [`x{v="${'['.repeat(20)}${']'.repeat(20)}"} 1@1700000000000`],
    ],
  ];
  test.each(rows)('%s', (_, json, samples) => {
    expect(translateJson(json).samples).toEqual(samples);
  });

  test('and pollutes no prototype', () => {
    translateJson(value('{"kvlistValue":{"values":[{"key":"__proto__","value":{"stringValue":"x"}}]}}'));
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as Record<string, unknown>).stringValue).toBeUndefined();
  });
});

test('any JSON that is not a request gives an error or a well-formed message', () => {
  const names = fc.constantFrom('resourceMetrics', 'scopeMetrics', 'metrics', 'gauge', 'dataPoints', 'asInt', 'other');
  const { json } = fc.letrec<{ json: unknown }>((tie) => ({
    json: fc.oneof(
      { depthSize: 'medium' },
      fc.constantFrom(null, true, '', '1', 1, -1.5),
      fc.array(tie('json'), { maxLength: 3 }),
      fc.dictionary(names, tie('json'), { maxKeys: 3 }),
    ),
  }));
  fc.assert(
    fc.property(json, (sent) => {
      try {
        checkMessage(transcode(JSON.stringify(sent)), EXPORT_REQUEST);
      } catch (error) {
        expect((error as Error).message).toMatch(/^json: .* at byte \d+$/);
      }
    }),
    { numRuns: 1000 },
  );
});

test('JSON that is cut anywhere is refused', () => {
  const whole = value('{"arrayValue":{"values":[{"stringValue":"\\u00fc"},{"boolValue":true}]}}');
  expect(translateJson(whole).samples).toHaveLength(1);
  for (let length = 0; length < whole.length; length++) {
    expect(() => transcode(whole.slice(0, length))).toThrow(/^json: .* at byte \d+$/);
  }
});
