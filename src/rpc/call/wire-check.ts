/**
 * Checks that the bytes of a message hold exactly what a decoder makes of them. Decoders of protobuf are
 * lenient: they skip fields that they do not know, replace invalid UTF-8, cut numbers off, and keep the
 * last of two values. A request that passes is decoded without loss, so two requests with different
 * content never become the same message.
 */
import { isUtf8 } from 'node:buffer';
import { WireType } from '@bufbuild/protobuf/wire';
import { KeysSeen } from './keys-seen.ts';
import type { Field, WireSchema } from './wire-schema.ts';

/** The first fault of a message. */
export type WireFault = {
  /** Path of the field, such as `usages.items[2].operation`; empty: the message itself. */
  readonly field: string;
  /** Such as "is not valid UTF-8". */
  readonly description: string;
  /** Whether the message could be decoded, and has more values than are accepted. */
  readonly exceedsLimit?: true;
};

/** Values of one repeated field, or entries of one map. */
const FIELD_VALUES_MAX = 1_000;
/** Usages of a whole request: of all mutations of a batch. Each is priced. */
const USAGES_MAX = 10_000;
/** Values of all repeated fields and maps of a whole request. Each becomes an object. */
const VALUES_MAX = 50_000;
/** The same, of one mutation of a batch, and of any other request: nothing else is served meanwhile. */
const MUTATION_VALUES_MAX = 10_000;

/** The first fault of a message; null if there is none. */
export const findWireFault = (schema: WireSchema, bytes: Uint8Array): WireFault | null =>
  new Scanner(bytes).scanMessage(schema, bytes.length);

const CUT_OFF: WireFault = { field: '', description: 'is cut off' };
const OTHER_TYPE: WireFault = { field: '', description: 'has another type' };
const NOT_UTF8: WireFault = { field: '', description: 'is not valid UTF-8' };
const OUT_OF_RANGE: WireFault = { field: '', description: 'is out of the range of its type' };
const SECOND: WireFault = { field: '', description: 'is given twice' };
const tooMany = (description: string): WireFault => ({
  field: '',
  description,
  exceedsLimit: true,
});
const TOO_MANY = tooMany(`has more than ${FIELD_VALUES_MAX} values`);
const TOO_MANY_USAGES = tooMany(`is more than the ${USAGES_MAX} usages that a request may have`);
const TOO_MANY_VALUES = tooMany(
  `is more than the ${VALUES_MAX} values of lists and maps that a request may have`,
);

const TOO_MANY_OF_MUTATION = tooMany(
  `is more than the ${MUTATION_VALUES_MAX} values of lists and maps that one mutation or other request may have`,
);

/** Reads a message once, from its beginning. Bounds are indexes into the bytes. */
class Scanner {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** The halves of the last varint. */
  #low = 0;
  #high = 0;
  /** Values of repeated fields and maps so far, and the usages among them. */
  #values = 0;
  #usages = 0;
  /** Values before the mutation of a batch that is being scanned. */
  #valuesBefore = 0;
  /** The bounds of the last key of a map. A key that is left out is empty. */
  #keyStart = 0;
  #keyStop = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  scanMessage(schema: WireSchema, end: number): WireFault | null {
    let seen = 0;
    let index = 0;
    let previous: Field | undefined;
    let keys: KeysSeen | undefined;
    const counts: number[] | null = schema.hasRepeated ? [] : null;
    while (this.#at < end) {
      if (!this.#readVarint(end)) return CUT_OFF;
      const number = this.#low >>> 3;
      const field = this.#high === 0 ? schema.fields[number] : undefined;
      if (field === undefined) return { field: `${number}`, description: 'is no known field' };
      index = field === previous ? index + 1 : 0;
      previous = field;
      if (field.isMap) this.#keyStop = this.#keyStart;
      const wireType = this.#low & 7;
      let fault = seen & field.bit ? SECOND : null;
      if (counts !== null && field.isRepeated && field.wireType === wireType) {
        const count = (counts[number] ?? 0) + 1;
        counts[number] = count;
        fault ??= count > FIELD_VALUES_MAX ? TOO_MANY : this.#countValue(field);
      }
      fault ??= this.#scanField(field, wireType, end);
      seen |= field.bit;
      if (fault === null && field.isMap) {
        keys ??= new KeysSeen(this.#bytes);
        if (!keys.add(number, this.#keyStart, this.#keyStop)) fault = SECOND;
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
    for (let count = 1; this.#at < stop; count++) {
      if (count > FIELD_VALUES_MAX) return TOO_MANY;
      const fault = this.#countValue(field) ?? this.#scanNumber(field, stop);
      if (fault !== null) return fault;
    }
    return null;
  }

  #countValue({ isUsage, isMutation }: Field): WireFault | null {
    this.#values += 1;
    if (isMutation) this.#valuesBefore = this.#values;
    if (isUsage) this.#usages += 1;
    if (this.#usages > USAGES_MAX) return TOO_MANY_USAGES;
    if (this.#values - this.#valuesBefore > MUTATION_VALUES_MAX) return TOO_MANY_OF_MUTATION;
    return this.#values > VALUES_MAX ? TOO_MANY_VALUES : null;
  }

  #scanText({ isText, isKey }: Field, stop: number): WireFault | null {
    const start = this.#at;
    if (isText && !this.#isUtf8(start, stop)) return NOT_UTF8;
    if (isKey) this.#setKey(start, stop);
    this.#at = stop;
    return null;
  }

  #setKey(start: number, stop: number) {
    this.#keyStart = start;
    this.#keyStop = stop;
  }

  #isUtf8(start: number, stop: number): boolean {
    const bytes = this.#bytes;
    // Most texts are ASCII and short: a call of a native function would take longer.
    for (let at = start; at < stop; at++)
      if (bytes[at]! > 0x7f) return isUtf8(bytes.subarray(at, stop));
    return true;
  }

  #scanNumber({ wireType, isInRange }: Field, end: number): WireFault | null {
    if (wireType === WireType.Varint) {
      if (!this.#readVarint(end)) return CUT_OFF;
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

/** The path of a field that has too many values is that of the field, not of its last value. */
const within = ({ name, isRepeated }: Field, index: number, fault: WireFault): WireFault => ({
  ...fault,
  field: `${name}${isRepeated && fault !== TOO_MANY ? `[${index}]` : ''}${fault.field && `.${fault.field}`}`,
});
