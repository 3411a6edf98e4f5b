/**
 * Checks the fields of a request and collects every violation, so a caller learns of all at once.
 * The limits are those the proto comments state.
 */
import { Failure, type Violation } from '../../failure.ts';
import type { Usage as UsageMessage } from '../../gen/billing/v1/pricing.ts';
import type { Duration } from '../../gen/google/protobuf/duration.ts';
import { MAX_CREDITS } from '../../pricing/plan.ts';
import type { Usage } from '../../pricing/usage.ts';

export const ACCOUNT_ID = /^[A-Za-z0-9._:-]{1,64}$/;
const REQUEST_ID = /^[\x20-\x7e]{1,128}$/;
const PLAIN_ID = /^[A-Za-z0-9._:-]{1,64}$/;
export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Characters no text may carry: PostgreSQL cannot store NUL, and the others break logs. */
const CONTROL = /\p{Cc}/u;

export const USAGES_MAX = 1_000;
export const PAGE_SIZE_MAX = 1_000;
const LABELS_MAX = 16;
const OPERATIONS_MAX = 100;
/** One day above the longest a plan can allow; keeps a TTL within exact milliseconds. */
const TTL_MAX_MS = 367 * 24 * 3_600_000;

/** Quantities and attributes of one usage. */
const INPUTS_MAX = 64;
const VIOLATIONS_TOLD = 20;

/** A name the caller chose, short enough to be told in a field path. */
const shown = (name: string): string =>
  name.length > 64
    ? `${name.slice(0, 64).replace(/[\p{Cc}\p{Cs}]/gu, '')}…`
    : name.replace(/\p{Cc}/gu, '');

export class Check {
  readonly #violations: Violation[] = [];

  refuse(field: string, description: string) {
    this.#violations.push({ field, description });
  }

  accountId(value: string): string {
    if (!ACCOUNT_ID.test(value))
      this.refuse('account_id', 'must be 1 to 64 of letters, digits and . _ : -');
    return value;
  }

  requestId(value: string): string {
    if (!REQUEST_ID.test(value))
      this.refuse('request_id', 'must be 1 to 128 printable ASCII characters');
    return value;
  }

  /** The id of a plan or pack. */
  name(field: string, value: string): string {
    if (!PLAIN_ID.test(value)) this.refuse(field, 'must be 1 to 64 of letters, digits and . _ : -');
    return value;
  }

  /** A reservation's id, in the form it is stored in. */
  reservationId(value: string): string {
    if (!UUID.test(value)) this.refuse('reservation_id', 'must be the UUID that Reserve answered');
    return value.toLowerCase();
  }

  eventId(value: string): string {
    if (!UUID.test(value)) this.refuse('event_id', 'must be the UUID of an event');
    return value.toLowerCase();
  }

  text(field: string, value: string, max: number, min = 0): string {
    // In characters, not in JavaScript's UTF-16 units; counted only where it can matter.
    const length = value.length > max ? [...value.slice(0, 2 * max + 1)].length : value.length;
    if (length < min || length > max) this.refuse(field, `must be ${min} to ${max} characters`);
    else if (CONTROL.test(value)) this.refuse(field, 'must not contain control characters');
    return value;
  }

  labels(field: string, value: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const keys = Object.keys(value);
    if (keys.length > LABELS_MAX) this.refuse(field, `must be at most ${LABELS_MAX} labels`);
    for (const key of keys.slice(0, LABELS_MAX)) {
      this.text(`${field} key`, key, 64, 1);
      this.text(`${field}["${shown(key)}"]`, value[key] ?? '', 256);
    }
    return value;
  }

  credits(field: string, value: bigint, min = 0n): bigint {
    if (value < min || value > MAX_CREDITS)
      this.refuse(field, `must be ${min} to ${MAX_CREDITS} credits`);
    return value;
  }

  /** Null where it is left out. */
  ttlMs(value: Duration | undefined): number | null {
    if (!value) return null;
    const ms = Number(value.seconds) * 1_000 + Math.floor(value.nanos / 1_000_000);
    const valid = value.nanos >= 0 && value.nanos < 1_000_000_000;
    if (!(valid && ms > 0 && ms <= TTL_MAX_MS))
      this.refuse('ttl', 'must be above 0 and at most 366 days');
    return ms;
  }

  /** Null where it is left out. */
  instant(field: string, value: Date | undefined): number | null {
    if (!value) return null;
    const year = value.getUTCFullYear();
    if (!(year >= 1970 && year <= 9999)) this.refuse(field, 'must be of the years 1970 to 9999');
    return value.getTime();
  }

  /** Names of operations, each once. */
  operations(field: string, value: readonly string[]): readonly string[] {
    if (value.length > OPERATIONS_MAX)
      this.refuse(field, `must be at most ${OPERATIONS_MAX} operations`);
    const told = value.slice(0, OPERATIONS_MAX);
    for (const [index, operation] of told.entries()) {
      this.text(`${field}[${index}]`, operation, 128, 1);
      const first = told.indexOf(operation);
      if (first < index) this.refuse(`${field}[${index}]`, `is the same as ${field}[${first}]`);
    }
    return value;
  }

  usages(value: readonly UsageMessage[], min: number): readonly Usage[] {
    if (value.length < min || value.length > USAGES_MAX)
      this.refuse('usages', `must be ${min} to ${USAGES_MAX} usages`);
    return value.map((usage, index) => this.#usage(usage, `usages[${index}]`));
  }

  #usage(usage: UsageMessage, path: string): Usage {
    this.text(`${path}.operation`, usage.operation, 128, 1);
    if (usage.count < 0n) this.refuse(`${path}.count`, 'must be 1 or more');
    for (const name of Object.keys(usage.quantities).slice(0, INPUTS_MAX))
      this.text(`${path}.quantities key`, name, 64, 1);
    for (const [name, value] of Object.entries(usage.attributes).slice(0, INPUTS_MAX)) {
      this.text(`${path}.attributes key`, name, 64, 1);
      this.text(`${path}.attributes["${shown(name)}"]`, value, 256);
    }
    if (Object.keys(usage.quantities).length + Object.keys(usage.attributes).length > INPUTS_MAX)
      this.refuse(path, `must have at most ${INPUTS_MAX} quantities and attributes`);
    return { ...usage, count: usage.count === 0n ? 1n : usage.count };
  }

  rateCardVersion(value: bigint): number | null {
    if (value < 0n || value > 2_147_483_647n)
      this.refuse('rate_card_version', 'must be 0 or a version');
    return value === 0n ? null : Number(value);
  }

  pageSize(value: number): number {
    if (value < 0) this.refuse('page_size', 'must be 0 or more');
    return value <= 0 ? 50 : Math.min(value, PAGE_SIZE_MAX);
  }

  /**
   * The failure that names the violations; null if there is none. It travels in a trailer, and the
   * headers of a response have 8 KB or so in all: the first few are told, and how many more there are.
   */
  failure(): Failure | null {
    const all = this.#violations;
    if (all.length === 0) return null;
    const told = all.slice(0, VIOLATIONS_TOLD);
    const rest = all.length > told.length ? `; and ${all.length - told.length} more` : '';
    const message = told.map((v) => `${v.field} ${v.description}`).join('; ') + rest;
    const field = told.map((v) => v.field).join(', ');
    return new Failure('INVALID_FIELD', message, { field }, told);
  }

  /** Throws the failure, if there is one: for reads, whose handlers have nobody to return it to. */
  pass() {
    const failure = this.failure();
    if (failure) throw failure;
  }
}
