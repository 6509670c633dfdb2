/**
 * The messages of proto/opentelemetry.proto as tables for the decoders: the check of the wire form asks for a field by
 * its number, the JSON form by its name.
 */
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

export type FieldKind =
  | 'bool'
  | 'bytes'
  | 'double'
  | 'enum'
  | 'fixed64'
  | 'int64'
  | 'message'
  | 'sfixed64'
  | 'sint32'
  | 'string'
  | 'uint32'
  | 'uint64';

export interface Field {
  readonly number: number;
  /** As in the definition: `data_points`. */
  readonly name: string;
  readonly kind: FieldKind;
  readonly isRepeated: boolean;
  /** Of a message. */
  readonly message: Message | undefined;
  /** Of an enum: its names. */
  readonly values: ReadonlyMap<string, number> | undefined;
  /** The numbers, as bits, that may not be there beside this field: its oneof, or itself if it is one message. */
  readonly exclusive: number;
}

export interface Message {
  readonly name: string;
  readonly byNumber: readonly (Field | undefined)[];
  /** By the definition's names and by those of JSON (`dataPoints`). */
  readonly byName: ReadonlyMap<string, Field>;
}

/** Of protobuf's wire format. */
export const WireType = { VARINT: 0, FIXED64: 1, BYTES: 2, FIXED32: 5 } as const;

/** Tags are then one byte, and a set of fields is the bits of a number. */
const MAX_FIELD_NUMBER = 15;

const SCALARS: ReadonlySet<string> = new Set<FieldKind>([
  'bool',
  'bytes',
  'double',
  'fixed64',
  'int64',
  'sfixed64',
  'sint32',
  'string',
  'uint32',
  'uint64',
]);

const definitions = protobuf.loadSync(fileURLToPath(new URL('../../proto/opentelemetry.proto', import.meta.url)));
definitions.resolveAll();
const messages = new Map<protobuf.Type, Message>();

/** What a sender posts. */
export const EXPORT_REQUEST: Message = tableOf(definitions.lookupType('opentelemetry.ExportMetricsServiceRequest'));

/** The wire type of one value of a field; repeated numbers may also come packed, as bytes. */
export function wireTypeOf(kind: FieldKind): number {
  if (kind === 'double' || kind === 'fixed64' || kind === 'sfixed64') return WireType.FIXED64;
  return kind === 'string' || kind === 'bytes' || kind === 'message' ? WireType.BYTES : WireType.VARINT;
}

function tableOf(type: protobuf.Type): Message {
  const known = messages.get(type);
  if (known !== undefined) return known;
  const byNumber: Field[] = [];
  const byName = new Map<string, Field>();
  const table: Message = { name: type.name, byNumber, byName };
  messages.set(type, table); // Before its fields: AnyValue holds itself.
  for (const definition of type.fieldsArray) {
    const field = fieldOf(definition);
    byNumber[field.number] = field;
    byName.set(snakeCase(definition.name), field);
    byName.set(camelCase(definition.name), field);
  }
  return table;
}

function fieldOf(definition: protobuf.Field): Field {
  const { id, name, repeated, partOf, resolvedType } = definition;
  const isMessage = resolvedType instanceof protobuf.Type;
  const isEnum = resolvedType instanceof protobuf.Enum;
  const isKnown = isMessage || isEnum || SCALARS.has(definition.type);
  if (!isKnown || id > MAX_FIELD_NUMBER) throw new Error(`${name} = ${id}: ${definition.type} is not provided for`);
  let exclusive = isMessage && !repeated ? 1 << id : 0;
  for (const member of partOf?.fieldsArray ?? []) exclusive |= 1 << member.id;
  return {
    number: id,
    name: snakeCase(name),
    kind: isMessage ? 'message' : isEnum ? 'enum' : (definition.type as FieldKind),
    isRepeated: repeated,
    message: isMessage ? tableOf(resolvedType) : undefined,
    values: isEnum ? new Map(Object.entries(resolvedType.values)) : undefined,
    exclusive,
  };
}

function camelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
