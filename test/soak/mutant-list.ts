/** Faults as people make them: a bound off by one, a case forgotten, a comparison the wrong way round. */

export interface Mutant {
  readonly what: string;
  /** In storage/kernel/assembly. */
  readonly file: string;
  /** Stands in the file once. */
  readonly find: string;
  readonly replace: string;
}

export const MUTANTS: readonly Mutant[] = [
  {
    what: 'snappy: a copy may begin one byte before the output',
    file: 'snappy.ts',
    find: 'if (offset === 0 || offset > out - to || bytes > outEnd - out) return damaged(at - from);',
    replace: 'if (offset === 0 || offset > out - to + 1 || bytes > outEnd - out) return damaged(at - from);',
  },
  {
    what: 'snappy: a block that ends before its declared length is taken',
    file: 'snappy.ts',
    find: 'if (out !== outEnd) return fail(L.ERROR_SNAPPY, length);',
    replace: 'if (out > outEnd) return fail(L.ERROR_SNAPPY, length);',
  },
  {
    what: 'UTF-8: surrogates are taken',
    file: 'bytes.ts',
    find: 'else if (byte === 0xed) high = 0x9f;',
    replace: '',
  },
  {
    what: 'labels: a doubled name is found only among neighbours as sent',
    file: 'labels.ts',
    find: 'if (order === 0) return false;',
    replace: '',
  },
  {
    what: 'labels: an empty value stays a label',
    file: 'labels.ts',
    find: 'if (valueLength === 0) continue; // an empty label is an absent one',
    replace: '',
  },
  {
    what: 'placing: a sample at the time of the last one is stored beside it',
    file: 'rows.ts',
    find: 'time > load<i64>(open, L.OPEN_LAST_TIME) &&\n    time < end &&',
    replace: 'time >= load<i64>(open, L.OPEN_LAST_TIME) &&\n    time < end &&',
  },
  {
    what: 'placing: the last sample of a closed chunk is not found again',
    file: 'rows.ts',
    find: 'offset > load<u32>(chunk, L.CHUNK_MAX_OFFSET)',
    replace: 'offset >= load<u32>(chunk, L.CHUNK_MAX_OFFSET)',
  },
  {
    what: 'placing: a chunk goes on into the next window',
    file: 'rows.ts',
    find: 'time < end &&',
    replace: '',
  },
  {
    what: 'chunks: a value with more trailing bits is written with the last width',
    file: 'chunk.ts',
    find: ' && <u32>ctz(xor) >= trailing',
    replace: '',
  },
  {
    what: 'log: −0 is written as the integer 0',
    file: 'record.ts',
    find: 'if (reinterpret<u64>(<f64>number) === bits) return',
    replace: 'if (<f64>number === value) return',
  },
  {
    what: 'fields: a field may end one byte behind what holds it',
    file: 'fields.ts',
    find: 'if (size > <u64>(end - body)) {',
    replace: 'if (size > <u64>(end - body) + 1) {',
  },
  {
    what: 'requests: a series is taken for the expected one without a look at its last eight bytes',
    file: 'request-v1.ts',
    find: 'equal(alias + L.ALIAS_WIRE, body, length)',
    replace: 'equal(alias + L.ALIAS_WIRE, body, length - min<usize>(length, 8))',
  },
  {
    what: 'requests: a ref to the symbol behind the last one is taken',
    file: 'request-v2.ts',
    find: 'if (index >= count) refuseRef(index);\n    else',
    replace: 'if (index > count) refuseRef(index);\n    else',
  },
  {
    what: 'requests: a symbol is taken for the expected one by its length',
    file: 'request-symbols.ts',
    find: ' ||\n    !equal(symbol + L.SYMBOL_TEXT, text, length)',
    replace: '',
  },
];
