/**
 * Arrays as parameters, in PostgreSQL's binary format. pg would write an array as text: each element is escaped
 * in Node and parsed again in PostgreSQL (figures: docs/performance.md).
 *
 * Layout (array_recv in src/backend/utils/adt/arrayfuncs.c): number of dimensions, flag for nulls, OID of the
 * element type; length and lower bound of the dimension; then the length and the bytes of each element.
 */

export type ElementType =
  | 'text'
  | 'bigint'
  | 'int'
  | 'smallint'
  | 'boolean'
  | 'uuid'
  | 'jsonb'
  | 'json'
  | 'bytea'
  | 'numeric'
  | 'instant';

/** `json` and `jsonb` are their text, `instant` epoch milliseconds, `uuid` its usual 36 characters, `numeric` digits. */
export type Element = string | bigint | number | boolean | Uint8Array | null;

/** How the elements of a type that are not null are written. */
type Format<Value> = {
  /** Of the type in pg_type. */
  readonly oid: number;
  readonly maxBytes: (value: Value) => number;
  /** Writes the element and returns how many bytes it took. */
  readonly write: (to: Target, value: Value, at: number) => number;
};

/** The array that is written, as bytes and as a view: the view writes integers faster than Buffer does. */
type Target = { readonly bytes: Buffer; readonly view: DataView };

const HEADER_BYTES = 20;
const LENGTH_BYTES = 4;
const NULL_LENGTH = -1;
const UTF8_MAX_BYTES_PER_UNIT = 3;
/** PostgreSQL counts microseconds from 2000-01-01 UTC. */
const EPOCH_2000_MS = 946_684_800_000;
const JSONB_VERSION = 1;

const text: Format<string> = {
  oid: 25,
  maxBytes: (value) => value.length * UTF8_MAX_BYTES_PER_UNIT,
  write: ({ bytes }, value, at) => bytes.write(value, at),
};

const int8 = ({ view }: Target, value: bigint, at: number): number => {
  view.setBigInt64(at, value);
  return 8;
};

const bigint: Format<bigint> = { oid: 20, maxBytes: () => 8, write: int8 };

const instant: Format<number> = {
  oid: 1184,
  maxBytes: () => 8,
  write: (to, value, at) => int8(to, BigInt(value - EPOCH_2000_MS) * 1_000n, at),
};

const int: Format<number> = {
  oid: 23,
  maxBytes: () => 4,
  write({ view }, value, at) {
    view.setInt32(at, value);
    return 4;
  },
};

const smallint: Format<number> = {
  oid: 21,
  maxBytes: () => 2,
  write({ view }, value, at) {
    view.setInt16(at, value);
    return 2;
  },
};

const boolean: Format<boolean> = {
  oid: 16,
  maxBytes: () => 1,
  write({ bytes }, value, at) {
    bytes[at] = value ? 1 : 0;
    return 1;
  },
};

const uuid: Format<string> = {
  oid: 2950,
  maxBytes: () => 16,
  write: ({ bytes }, value, at) => bytes.write(value.replaceAll('-', ''), at, 'hex'),
};

const jsonb: Format<string> = {
  oid: 3802,
  maxBytes: (value) => 1 + text.maxBytes(value),
  write(to, value, at) {
    to.bytes[at] = JSONB_VERSION;
    return 1 + text.write(to, value, at + 1);
  },
};

const json: Format<string> = { ...text, oid: 114 };

const bytea: Format<Uint8Array> = {
  oid: 17,
  maxBytes: (value) => value.length,
  write({ bytes }, value, at) {
    bytes.set(value, at);
    return value.length;
  },
};

/** The SQL statement casts `numeric`, which it receives as text. */
const formats = {
  text,
  numeric: text,
  bigint,
  instant,
  int,
  smallint,
  boolean,
  uuid,
  jsonb,
  json,
  bytea,
};

/** The array of one element of each row. */
export function binaryArray<Row>(
  type: ElementType,
  rows: readonly Row[],
  elementOf: (row: Row) => Element,
): Buffer {
  const { oid, maxBytes, write } = formats[type] as Format<Element>;
  const elements = rows.map(elementOf);
  // By index: an iterator allocates a result for each element (figures: docs/performance.md).
  let size = HEADER_BYTES;
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index] as Element;
    size += LENGTH_BYTES + (element === null ? 0 : maxBytes(element));
  }
  const bytes = Buffer.allocUnsafe(size);
  const to = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, size) };
  writeHeader(to.view, oid, elements);
  let at = HEADER_BYTES;
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index] as Element;
    const length = element === null ? NULL_LENGTH : write(to, element, at + LENGTH_BYTES);
    to.view.setInt32(at, length);
    at += LENGTH_BYTES + Math.max(0, length);
  }
  return bytes.subarray(0, at);
}

function writeHeader(view: DataView, oid: number, elements: readonly Element[]) {
  const fields = [1, elements.includes(null) ? 1 : 0, oid, elements.length, 1];
  fields.forEach((field, index) => void view.setInt32(index * 4, field));
}
