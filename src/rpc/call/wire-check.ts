/**
 * Checks that the bytes of a message hold exactly what a decoder makes of them. Decoders of protobuf are
 * lenient: they skip fields that they do not know, replace invalid UTF-8, cut numbers off, and keep the
 * last of two values. A request that passes is decoded without loss, so two requests with different
 * content never become the same message.
 */
import { isUtf8 } from 'node:buffer';
import { type DescField, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { WireType } from '@bufbuild/protobuf/wire';

/** The first fault of a message. */
export type WireFault = {
  /** Path of the field, such as `usages.items[2].operation`; empty: the message itself. */
  readonly field: string;
  /** Such as "is not valid UTF-8". */
  readonly description: string;
};

/** What is checked of a message, by the numbers of its fields. */
export type WireSchema = { readonly fields: readonly (Field | undefined)[] };

type Field = {
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
  /** Whether a varint with these halves is a value of the type. */
  readonly isInRange: (low: number, high: number) => boolean;
};

export const compileWireSchema = (message: DescMessage): WireSchema => compile(message, false);

/** The first fault of a message; null if there is none. */
export const findWireFault = (schema: WireSchema, bytes: Uint8Array): WireFault | null =>
  new Scanner(bytes).scanMessage(schema, bytes.length);

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

/** `isMutation`: what the message says is stored, so its instants must not be finer than stored ones. */
function compile(message: DescMessage, isMutation: boolean): WireSchema {
  const fields: (Field | undefined)[] = [];
  const bits = new Map<unknown, number>();
  const stores = isMutation || message.fields.some(({ name }) => name === 'request_id');
  for (const field of message.fields) {
    const isRepeated = field.fieldKind === 'list' || field.fieldKind === 'map';
    if (!isRepeated && !bits.has(field.oneof ?? field))
      bits.set(field.oneof ?? field, 1 << bits.size);
    fields[field.number] = {
      ...compileType(field, stores),
      name: field.name,
      isRepeated,
      isKey: false,
      bit: bits.get(field.oneof ?? field) ?? 0,
    };
  }
  if (bits.size > SINGULAR_FIELDS_MAX)
    throw new Error(`${message.typeName} has more than ${SINGULAR_FIELDS_MAX} singular fields`);
  return { fields };
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
    fields: fields.map(
      (part) =>
        part && { ...part, isInRange: part.name === 'nanos' ? isNanosInRange : isEpochSeconds },
    ),
  };
}

function entryOf(field: DescField & { readonly fieldKind: 'map' }): WireSchema {
  if (field.mapKind === 'message')
    throw new Error(`${field.name}: maps of messages are not checked`);
  const value = field.mapKind === 'enum' ? varint(isInt32) : scalarType(field.scalar);
  const part = { isRepeated: false, isMap: false };
  return {
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

const CUT_OFF: WireFault = { field: '', description: 'is cut off' };
const OTHER_TYPE: WireFault = { field: '', description: 'has another type' };
const NOT_UTF8: WireFault = { field: '', description: 'is not valid UTF-8' };
const OUT_OF_RANGE: WireFault = { field: '', description: 'is out of the range of its type' };
const SECOND: WireFault = { field: '', description: 'is given twice' };

/** Reads a message once, from its beginning. Bounds are indexes into the bytes. */
class Scanner {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** The halves of the last varint. */
  #low = 0;
  #high = 0;
  /** The last key of a map. */
  #key = '';

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  scanMessage(schema: WireSchema, end: number): WireFault | null {
    let seen = 0;
    let index = 0;
    let previous: Field | undefined;
    let keys: Set<string> | undefined;
    while (this.#at < end) {
      if (!this.#readVarint(end)) return CUT_OFF;
      const number = this.#low >>> 3;
      const field = this.#high === 0 ? schema.fields[number] : undefined;
      if (field === undefined) return { field: `${number}`, description: 'is no known field' };
      index = field === previous ? index + 1 : 0;
      previous = field;
      if (field.isMap) this.#key = '';
      let fault = seen & field.bit ? SECOND : this.#scanField(field, this.#low & 7, end);
      seen |= field.bit;
      if (fault === null && field.isMap) {
        keys ??= new Set();
        const key = `${number} ${this.#key}`;
        if (keys.has(key)) fault = SECOND;
        keys.add(key);
      }
      if (fault !== null) return within(field, index, fault);
    }
    return null;
  }

  #scanField(field: Field, wireType: number, end: number): WireFault | null {
    if (wireType !== WireType.LengthDelimited)
      return wireType === field.wireType ? this.#scanNumber(field, end) : OTHER_TYPE;
    if (!this.#readVarint(end)) return CUT_OFF;
    const stop = this.#at + this.#low;
    if (this.#high !== 0 || stop > end) return CUT_OFF;
    if (field.schema !== null) return this.scanMessage(field.schema, stop);
    return field.wireType === WireType.LengthDelimited
      ? this.#scanText(field, stop)
      : this.#scanPacked(field, stop);
  }

  #scanPacked(field: Field, stop: number): WireFault | null {
    if (!field.isRepeated) return OTHER_TYPE;
    while (this.#at < stop) {
      const fault = this.#scanNumber(field, stop);
      if (fault !== null) return fault;
    }
    return null;
  }

  #scanText({ isText, isKey }: Field, stop: number): WireFault | null {
    const start = this.#at;
    if (isText && !this.#isUtf8(start, stop)) return NOT_UTF8;
    if (isKey) this.#key = latin1(this.#bytes, start, stop);
    this.#at = stop;
    return null;
  }

  #isUtf8(start: number, stop: number): boolean {
    const bytes = this.#bytes;
    // Most texts are ASCII and short: a call of a native function would take longer.
    for (let at = start; at < stop; at++)
      if (bytes[at]! > 0x7f) return isUtf8(bytes.subarray(at, stop));
    return true;
  }

  #scanNumber({ wireType, isInRange, isKey }: Field, end: number): WireFault | null {
    if (wireType === WireType.Varint) {
      if (!this.#readVarint(end)) return CUT_OFF;
      if (isKey) this.#key = `${this.#high} ${this.#low}`;
      return isInRange(this.#low, this.#high) ? null : OUT_OF_RANGE;
    }
    this.#at += wireType === WireType.Bit64 ? 8 : 4;
    return this.#at > end ? CUT_OFF : null;
  }

  /** False if there is none before `end`, or one of more than 64 bits. */
  #readVarint(end: number): boolean {
    const bytes = this.#bytes;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70 && this.#at < end; shift += 7) {
      const byte = bytes[this.#at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >> 4;
      } else high |= bits << (shift - 32);
      if (byte > 0x7f) continue;
      this.#low = low >>> 0;
      this.#high = high >>> 0;
      return shift < 63 || bits <= 1;
    }
    return false;
  }
}

const within = ({ name, isRepeated }: Field, index: number, fault: WireFault): WireFault => ({
  field: `${name}${isRepeated ? `[${index}]` : ''}${fault.field && `.${fault.field}`}`,
  description: fault.description,
});

/** One character per byte. */
const latin1 = (bytes: Uint8Array, start: number, stop: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString('latin1');
