/**
 * Checks the fields of one request and collects every violation, so that the caller learns of all of
 * them at once. The limits are the ones that the comments of the protos state.
 *
 * Each method returns the value in the form that commands and queries use, also if it is invalid:
 * end with `throwIfInvalid` or `failure` before using any value.
 */
import { Failure, type Violation } from '../../failure.ts';
import type { OperationSet } from '../../gen/billing/v1/account_service.ts';
import type { Usage as UsageMessage, Usages } from '../../gen/billing/v1/pricing.ts';
import type { Duration } from '../../gen/google/protobuf/duration.ts';
import { MAX_CREDITS } from '../../pricing/plan.ts';
import type { Usage } from '../../pricing/usage.ts';

export const ACCOUNT_ID = /^[\x21-\x7e]{1,128}$/;
const REQUEST_ID = /^[\x20-\x7e]{1,128}$/;
const NAME = /^[A-Za-z0-9._:-]{1,64}$/;
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;
/** Control characters: PostgreSQL cannot store NUL, and the others break logs. */
const CONTROL = /\p{Cc}/u;

const PAGE_SIZE_DEFAULT = 50;
const PAGE_SIZE_MAX = 1_000;
const LABELS_MAX = 16;
const OPERATIONS_MAX = 100;
/** One day more than any plan allows, and few enough milliseconds for a number to be exact. */
const TTL_MAX_MS = 367 * 24 * 3_600_000;
/** Quantities and attributes of one usage, together. */
const INPUTS_MAX = 64;
const VIOLATIONS_REPORTED_MAX = 20;

/** A key that the caller chose, made safe and short enough for a field path. */
const keyInPath = (key: string): string =>
  key.length > 64
    ? `${key.slice(0, 64).replace(/[\p{Cc}\p{Cs}]/gu, '')}…`
    : key.replace(/\p{Cc}/gu, '');

/** The first entries of a map: a map can have more than anyone wants to read. */
const first = <Value>(map: ReadonlyMap<string, Value>, count: number) =>
  map.size <= count ? map : [...map].slice(0, count);

export class FieldChecker {
  readonly #violations: Violation[] = [];

  addViolation(field: string, description: string) {
    this.#violations.push({ field, description });
  }

  accountId(value: string): string {
    if (!ACCOUNT_ID.test(value))
      this.addViolation('account_id', 'must be 1 to 128 printable ASCII characters without spaces');
    return value;
  }

  requestId(value: string, field = 'request_id'): string {
    if (!REQUEST_ID.test(value))
      this.addViolation(field, 'must be 1 to 128 printable ASCII characters');
    return value;
  }

  /** The id of a plan or pack. */
  name(field: string, value: string): string {
    if (!NAME.test(value))
      this.addViolation(field, 'must be 1 to 64 of letters, digits and . _ : -');
    return value;
  }

  /** Returns the id in lower case, as it is stored. */
  reservationId(value: string): string {
    if (!UUID.test(value))
      this.addViolation('reservation_id', 'must be the UUID that Reserve answered');
    return value.toLowerCase();
  }

  grantId(value: bigint): bigint {
    if (value < 1n) this.addViolation('grant_id', 'must be 1 or more');
    return value;
  }

  /** Returns the id in lower case, as it is stored. */
  purchaseId(value: string): string {
    if (!UUID.test(value))
      this.addViolation('purchase_id', 'must be the UUID that Purchase answered');
    return value.toLowerCase();
  }

  /** Returns the id in lower case, as it is stored. */
  eventId(value: string): string {
    if (!UUID.test(value)) this.addViolation('event_id', 'must be the UUID of an event');
    return value.toLowerCase();
  }

  /** Returns the id in lower case, as it is stored. */
  traceId(value: string): string {
    const id = value.toLowerCase();
    if (!TRACE_ID.test(id))
      this.addViolation('trace_id', 'must be 32 hexadecimal digits, not all of them 0');
    return id;
  }

  /** `min` and `max` count Unicode characters. */
  text(field: string, value: string, max: number, min = 0): string {
    // `value.length` counts UTF-16 units, of which a character has one or two.
    const length = value.length > max ? [...value.slice(0, 2 * max + 1)].length : value.length;
    if (length < min || length > max)
      this.addViolation(field, `must be ${min} to ${max} characters`);
    else if (CONTROL.test(value)) this.addViolation(field, 'must not contain control characters');
    return value;
  }

  /** Why an operator does something. */
  reason(value: string): string {
    if (value !== '' && value.trim() === '') this.addViolation('reason', 'must not be blank');
    return this.text('reason', value, 256, 1);
  }

  labels(field: string, labels: ReadonlyMap<string, string>): Readonly<Record<string, string>> {
    if (labels.size > LABELS_MAX) this.addViolation(field, `must be at most ${LABELS_MAX} labels`);
    for (const [key, value] of first(labels, LABELS_MAX)) {
      this.text(`${field} key`, key, 64, 1);
      this.text(`${field}["${keyInPath(key)}"]`, value, 256);
    }
    return Object.fromEntries(labels);
  }

  /** Names of labels, as a filter has them. */
  labelKeys(keys: readonly string[]): readonly string[] {
    if (keys.length > LABELS_MAX)
      this.addViolation('label_keys', `must be at most ${LABELS_MAX} names`);
    for (const [index, key] of keys.slice(0, LABELS_MAX).entries())
      this.text(`label_keys[${index}]`, key, 64, 1);
    return keys;
  }

  credits(field: string, value: bigint, min = 0n): bigint {
    if (value < min || value > MAX_CREDITS)
      this.addViolation(field, `must be ${min} to ${MAX_CREDITS} credits`);
    return value;
  }

  /** In milliseconds; null if it is not set. */
  ttlMs(value: Duration | undefined, field = 'ttl'): number | null {
    if (!value) return null;
    const ms = Number(value.seconds) * 1_000 + Math.floor(value.nanos / 1_000_000);
    const valid = value.nanos >= 0 && value.nanos < 1_000_000_000;
    if (!(valid && ms > 0 && ms <= TTL_MAX_MS))
      this.addViolation(field, 'must be above 0 and at most 366 days');
    return ms;
  }

  /** In epoch milliseconds; null if it is not set. */
  instant(field: string, value: Date | undefined): number | null {
    if (!value) return null;
    const year = value.getUTCFullYear();
    if (!(year >= 1970 && year <= 9999))
      this.addViolation(field, 'must be of the years 1970 to 9999');
    return value.getTime();
  }

  /** Names of operations, without duplicates. Empty if it is not set: all operations. */
  operations(field: string, value: OperationSet | undefined): readonly string[] {
    if (!value) return [];
    const { operations } = value;
    const path = `${field}.operations`;
    if (operations.length < 1 || operations.length > OPERATIONS_MAX)
      this.addViolation(path, `must be 1 to ${OPERATIONS_MAX} operations`);
    const checked = operations.slice(0, OPERATIONS_MAX);
    for (const [index, operation] of checked.entries()) {
      this.text(`${path}[${index}]`, operation, 128, 1);
      const first = checked.indexOf(operation);
      if (first < index) this.addViolation(`${path}[${index}]`, `is the same as ${path}[${first}]`);
    }
    return operations;
  }

  /** Returns the usages, each with its count. The wire check has limited their number. */
  usages({ items }: Usages): readonly Usage[] {
    return items.map((usage, index) => this.#usage(usage, `usages.items[${index}]`));
  }

  /** A field that selects everything: it may be left out, and false would select nothing. */
  all(field: string, value: boolean | undefined): boolean {
    if (value === false) this.addViolation(field, 'must be true if it is given');
    return value === true;
  }

  #usage(usage: UsageMessage, path: string): Usage {
    this.text(`${path}.operation`, usage.operation, 128, 1);
    const { count = 1n } = usage;
    if (count < 0n) this.addViolation(`${path}.count`, 'must be 0 or more');
    for (const [name] of first(usage.quantities, INPUTS_MAX))
      this.text(`${path}.quantities key`, name, 64, 1);
    for (const [name, value] of first(usage.attributes, INPUTS_MAX)) {
      this.text(`${path}.attributes key`, name, 64, 1);
      this.text(`${path}.attributes["${keyInPath(name)}"]`, value, 256);
    }
    if (usage.quantities.size + usage.attributes.size > INPUTS_MAX)
      this.addViolation(path, `must have at most ${INPUTS_MAX} quantities and attributes`);
    return { ...usage, count };
  }

  /** Null if it is not set: the version in force. */
  rateCardVersion(value: bigint | undefined): number | null {
    if (value === undefined) return null;
    if (value < 1n || value > 2_147_483_647n)
      this.addViolation('rate_card_version', 'must be 1 to 2147483647');
    return Number(value);
  }

  /** The values that a list of an enum's members stands for. */
  values<Member, Value>(
    field: string,
    members: readonly Member[],
    known: ReadonlyMap<Member, Value>,
  ): readonly Value[] {
    if (!members.every((member) => known.has(member)))
      this.addViolation(field, `must be known ${field}`);
    return members.flatMap((member) => known.get(member) ?? []);
  }

  /** How many rows a page has: the default if it is 0, the maximum if it is more. */
  pageSize(value: number): number {
    if (value < 0) this.addViolation('page_size', 'must be 0 or more');
    return value <= 0 ? PAGE_SIZE_DEFAULT : Math.min(value, PAGE_SIZE_MAX);
  }

  /**
   * INVALID_FIELD with the violations; null if there are none. The failure is sent in a trailer, and
   * the trailers of a response have about 8 KB in all: it lists the first violations and counts the rest.
   */
  failure(): Failure | null {
    const all = this.#violations;
    if (all.length === 0) return null;
    const reported = all.slice(0, VIOLATIONS_REPORTED_MAX);
    const rest = all.length > reported.length ? `; and ${all.length - reported.length} more` : '';
    const message = reported.map((v) => `${v.field} ${v.description}`).join('; ') + rest;
    const field = reported.map((v) => v.field).join(', ');
    return new Failure('INVALID_FIELD', message, { field }, reported);
  }

  throwIfInvalid() {
    const failure = this.failure();
    if (failure) throw failure;
  }
}
