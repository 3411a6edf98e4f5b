/** What the bytes of a message are checked by, compiled once from the descriptor of the message. */
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';

/** What is checked of a message, by the numbers of its fields. */
export type WireSchema = {
  readonly fields: readonly (Field | undefined)[];
  /** Whether a field is repeated or a map. */
  readonly hasRepeated: boolean;
};

export type Field = {
  readonly name: string;
  /** Of one value. Repeated numbers may also be packed. */
  readonly wireType: WireType;
  readonly isText: boolean;
  readonly isRepeated: boolean;
  readonly isKey: boolean;
  /** One bit for each field that is not repeated; the members of a oneof share theirs. 0: repeated. */
  readonly bit: number;
  /** The schema of a message or of the entry of a map. */
  readonly schema: WireSchema | null;
  readonly isMap: boolean;
  /** Whether its values are usages, which are priced. */
  /** A mutation of a batch. */
  readonly isMutation: boolean;
  readonly isUsage: boolean;
  /** Whether a varint with these halves is a value of the type. */
  readonly isInRange: (low: number, high: number) => boolean;
};

export const compileWireSchema = (message: DescMessage): WireSchema => compile(message, false);

const any = () => true;
const isBool = (low: number, high: number) => high === 0 && low <= 1;
const isUint32 = (_: number, high: number) => high === 0;
/** Negative ones are sent with 64 bits. */
const isInt32 = (low: number, high: number) =>
  high === 0 ? low <= 0x7fff_ffff : high === 0xffff_ffff && low >= 0x8000_0000;
/** Of a Timestamp: of the years 1 to 9999. */
const isEpochSeconds = (low: number, high: number) => {
  const seconds = (high | 0) * 2 ** 32 + low;
  return seconds >= -62_135_596_800 && seconds <= 253_402_300_799;
};
const isNanos = (low: number, high: number) => high === 0 && low < 1_000_000_000;
const isNanosOfMs = (low: number, high: number) => isNanos(low, high) && low % 1_000_000 === 0;

/** More fields than this would not fit into the bits of a number. */
const SINGULAR_FIELDS_MAX = 31;

/**
 * `isMutation`: what the message says is stored, so its instants must not be finer than stored ones. Only
 * not_after is not stored.
 */
function compile(message: DescMessage, isMutation: boolean): WireSchema {
  const fields: (Field | undefined)[] = [];
  const bits = new Map<unknown, number>();
  const stores = isMutation || message.fields.some(({ name }) => name === 'request_id');
  for (const field of message.fields) {
    const isRepeated = field.fieldKind === 'list' || field.fieldKind === 'map';
    if (!isRepeated && !bits.has(field.oneof ?? field))
      bits.set(field.oneof ?? field, 1 << bits.size);
    fields[field.number] = {
      ...compileType(field, stores && field.name !== 'not_after'),
      name: field.name,
      isRepeated,
      isKey: false,
      isMutation: field.message?.typeName === 'billing.v1.Mutation',
      isUsage: field.message?.typeName === 'billing.v1.Usage' && field.fieldKind === 'list',
      bit: bits.get(field.oneof ?? field) ?? 0,
    };
  }
  if (bits.size > SINGULAR_FIELDS_MAX)
    throw new Error(`${message.typeName} has more than ${SINGULAR_FIELDS_MAX} singular fields`);
  return { fields, hasRepeated: fields.some((field) => field?.isRepeated) };
}

type FieldType = Pick<Field, 'wireType' | 'isText' | 'schema' | 'isMap' | 'isInRange'>;

const LENGTH_DELIMITED: FieldType = {
  wireType: WireType.LengthDelimited,
  isText: false,
  schema: null,
  isMap: false,
  isInRange: any,
};
const varint = (isInRange: Field['isInRange']): FieldType => ({
  ...LENGTH_DELIMITED,
  wireType: WireType.Varint,
  isInRange,
});

function compileType(field: DescField, stores: boolean): FieldType {
  if (field.fieldKind === 'map')
    return { ...LENGTH_DELIMITED, schema: entryOf(field), isMap: true };
  if (field.message) return { ...LENGTH_DELIMITED, schema: schemaOf(field, field.message, stores) };
  return field.scalar === undefined ? varint(isInt32) : scalarType(field.scalar);
}

function schemaOf(field: DescField, message: DescMessage, stores: boolean): WireSchema {
  if (message.typeName !== 'google.protobuf.Timestamp') return compile(message, stores);
  // Instants are stored in milliseconds. `not_after` is compared and not stored.
  const isNanosInRange = stores && field.name !== 'not_after' ? isNanosOfMs : isNanos;
  const { fields } = compile(message, false);
  return {
    hasRepeated: false,
    fields: fields.map(
      (part) =>
        part && { ...part, isInRange: part.name === 'nanos' ? isNanosInRange : isEpochSeconds },
    ),
  };
}

function entryOf(field: DescField & { readonly fieldKind: 'map' }): WireSchema {
  if (field.mapKind === 'message')
    throw new Error(`${field.name}: maps of messages are not checked`);
  if (field.mapKey !== ScalarType.STRING) throw new Error(`${field.name}: its keys are not text`);
  const value = field.mapKind === 'enum' ? varint(isInt32) : scalarType(field.scalar);
  const part = { isRepeated: false, isMap: false, isMutation: false, isUsage: false };
  return {
    hasRepeated: false,
    fields: [
      undefined,
      { ...scalarType(field.mapKey), ...part, name: 'key', isKey: true, bit: 1 },
      { ...value, ...part, name: 'value', isKey: false, bit: 2 },
    ],
  };
}

function scalarType(type: ScalarType): FieldType {
  switch (type) {
    case ScalarType.STRING:
      return { ...LENGTH_DELIMITED, isText: true };
    case ScalarType.BYTES:
      return LENGTH_DELIMITED;
    case ScalarType.DOUBLE:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return { ...LENGTH_DELIMITED, wireType: WireType.Bit64 };
    case ScalarType.FLOAT:
    case ScalarType.FIXED32:
    case ScalarType.SFIXED32:
      return { ...LENGTH_DELIMITED, wireType: WireType.Bit32 };
    case ScalarType.BOOL:
      return varint(isBool);
    case ScalarType.INT32:
      return varint(isInt32);
    case ScalarType.UINT32:
    case ScalarType.SINT32:
      return varint(isUint32);
    default:
      return varint(any);
  }
}
