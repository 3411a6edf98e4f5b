/**
 * The table of the reasons of errors, read from the comments of error_reason.proto, and what is made of it:
 * `reasons.json`, for programs in any language, and the error classes of the client package.
 */
import { readFileSync } from 'node:fs';

export type DocumentedReason = {
  /** Such as "INSUFFICIENT_CREDITS". */
  readonly reason: string;
  /** Name of the gRPC status code. */
  readonly code: string;
  /** When a call fails with it. */
  readonly meaning: string;
  /** The error says in a RetryInfo when a repeated call may succeed. */
  readonly retryInfo: boolean;
  /** Whether the service has written nothing, whatever the method. */
  readonly nothingWritten: boolean;
  /** Keys that the metadata always has. */
  readonly metadata: readonly string[];
};

const PROTO = new URL('billing/v1/error_reason.proto', import.meta.url);

export function documentedReasons(): readonly DocumentedReason[] {
  const documented: DocumentedReason[] = [];
  let comment: string[] = [];
  for (const line of readFileSync(PROTO, 'utf8').split('\n')) {
    const [, text] = /^ {2}\/\/ (.*)$/.exec(line) ?? [];
    if (text !== undefined) {
      comment.push(text);
      continue;
    }
    const [, reason] = /^ {2}ERROR_REASON_([A-Z_]+) = [1-9]\d*;$/.exec(line) ?? [];
    if (reason !== undefined) documented.push(parse(reason, comment.join(' ')));
    comment = [];
  }
  return documented;
}

/** Statuses of a call that may have had an effect. */
const LEAVES_OPEN: ReadonlySet<string> = new Set([
  'UNAVAILABLE',
  'INTERNAL',
  'DEADLINE_EXCEEDED',
  'CANCELLED',
]);

function parse(reason: string, comment: string): DocumentedReason {
  const [, code, withRetry, text] = /^([A-Z_]+)( with RetryInfo)?\. (.*)$/.exec(comment) ?? [];
  const [meaning, keys] = text?.split(' Metadata: ') ?? [];
  if (code === undefined || meaning === undefined)
    throw new Error(`the comment of ${reason} does not begin with its status code`);
  return {
    reason,
    code,
    meaning,
    nothingWritten: !LEAVES_OPEN.has(code) || meaning.includes('Nothing was written'),
    retryInfo: withRetry !== undefined || code === 'UNAVAILABLE',
    metadata:
      keys
        ?.replace(/\([^)]*\)|\./g, '')
        .split(',')
        .map((key) => key.trim()) ?? [],
  };
}

type FieldType = 'string' | 'bigint' | 'number' | 'Date';

/** Types of the values whose key means the same in every reason. Others are text. */
const TYPES: Readonly<Record<string, FieldType>> = {
  required: 'bigint',
  available: 'bigint',
  shortfall: 'bigint',
  floor: 'bigint',
  reserved: 'bigint',
  committed: 'bigint',
  seq: 'bigint',
  archived_seq: 'bigint',
  version: 'bigint',
  queue: 'number',
  cap: 'bigint',
  used: 'bigint',
  requested: 'bigint',
  rate: 'number',
  burst: 'number',
  size: 'number',
  at: 'Date',
  not_after: 'Date',
  now: 'Date',
  effective_at: 'Date',
  expires_at: 'Date',
  resets_at: 'Date',
  since: 'Date',
  earliest: 'Date',
  latest: 'Date',
};

/** Of one reason: keys whose type depends on it. */
const TYPES_OF: Readonly<Record<string, Readonly<Record<string, FieldType>>>> = {
  EXCEEDS_RESERVATION: { asked: 'bigint', allowed: 'bigint' },
  EXCEEDS_COMMIT: { asked: 'bigint', allowed: 'bigint' },
  EXCEEDS_GRANT: { asked: 'bigint', allowed: 'bigint' },
  OVERAGE_LIMIT_REACHED: { limit: 'bigint' },
  CALLER_LIMIT_REACHED: { allowed: 'bigint', asked: 'bigint' },
  OVERLOADED: { limit: 'number' },
  BATCH_REFUSED: { index: 'number' },
  MESSAGE_TOO_LARGE: { limit: 'number' },
};

/** Keys that the metadata of a reason sometimes has. */
const SOMETIMES: Readonly<Record<string, readonly string[]>> = {
  UNKNOWN_OPERATION: ['nearest'],
  PACK_NOT_FOUND: ['nearest'],
  PLAN_NOT_FOUND: ['nearest'],
  RATE_CARD_VERSION_UNKNOWN: ['effective_at'],
  MESSAGE_TOO_LARGE: ['size'],
  CALLER_UNKNOWN: ['claim'],
  BUDGET_EXCEEDED: ['label', 'resets_at'],
  CALLER_LIMIT_REACHED: ['used', 'asked', 'resets_at'],
};

/** Reasons whose details name the packs to buy. */
const WITH_OFFERS: ReadonlySet<string> = new Set(['INSUFFICIENT_CREDITS', 'OVERAGE_LIMIT_REACHED']);

/** `code` of every error is the status, and `reason` that of the contract. */
const RENAMED: Readonly<Record<string, string>> = { code: 'providerCode', reason: 'why' };
/** Values that every error has as fields. */
const GIVEN: ReadonlySet<string> = new Set(['retry_after_ms', 'request_id']);

const READERS: Readonly<Record<FieldType, string>> = {
  string: 'textOf',
  bigint: 'bigintOf',
  number: 'numberOf',
  Date: 'dateOf',
};

const camelCase = (key: string): string =>
  key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** INSUFFICIENT_CREDITS: InsufficientCredits. */
const className = (reason: string): string => camelCase(`_${reason.toLowerCase()}`);

export function reasonsJson(): string {
  return `${JSON.stringify({ domain: 'billing.scrip', reasons: documentedReasons() }, null, 2)}\n`;
}

/** The module with the error classes of the client package. */
export function errorClasses(): string {
  const reasons = documentedReasons();
  return `// Generated from billing/v1/error_reason.proto. DO NOT EDIT.
import type { PackOffer } from "./billing/v1/pricing.ts";
import { bigintOf, dateOf, numberOf, textOf } from "../error-fields.ts";
import { type ErrorContent, ScripError } from "../scrip-error.ts";

${reasons.map(errorClass).join('\n')}
export type ReasonOfTable = {
  /** Name of the gRPC status code. */
  readonly code: string;
  /** Whether the service has written nothing. */
  readonly nothingWritten: boolean;
  readonly error: new (content: ErrorContent) => ScripError;
};

/** Every reason that this version knows. */
export const REASONS = {
${reasons.map(tableRow).join('\n')}
} as const satisfies Readonly<Record<string, ReasonOfTable>>;

/** A reason that this version knows. */
export type Reason = keyof typeof REASONS;
`;
}

const tableRow = ({ reason, code, nothingWritten }: DocumentedReason): string =>
  `  ${reason}: { code: "${code}", nothingWritten: ${nothingWritten}, error: ${className(reason)} },`;

function errorClass({ reason, code, meaning, metadata }: DocumentedReason): string {
  const typeOf = (key: string): FieldType => TYPES_OF[reason]?.[key] ?? TYPES[key] ?? 'string';
  const nameOf = (key: string) => RENAMED[key] ?? camelCase(key);
  const always = metadata.filter((key) => !GIVEN.has(key));
  const sometimes = SOMETIMES[reason] ?? [];
  const fields = [
    ...always.map((key) => `  readonly ${nameOf(key)}: ${typeOf(key)};`),
    ...sometimes.map((key) => `  readonly ${nameOf(key)}: ${typeOf(key)} | undefined;`),
  ];
  const reads = [
    ...always.map(
      (key) => `    this.${nameOf(key)} = ${READERS[typeOf(key)]}(metadata["${key}"]);`,
    ),
    ...sometimes.map(
      (key) =>
        `    this.${nameOf(key)} = metadata["${key}"] === undefined ? undefined : ${READERS[typeOf(key)]}(metadata["${key}"]);`,
    ),
  ];
  if (WITH_OFFERS.has(reason)) {
    fields.push(
      '  /** Packs and custom amounts that would cover the shortfall, best first. */',
      '  readonly offers: readonly PackOffer[];',
      '  /** The first of them. */',
      '  readonly bestOffer: PackOffer | undefined;',
    );
    reads.push('    this.offers = content.offers ?? [];', '    this.bestOffer = this.offers[0];');
  }
  const body =
    fields.length === 0
      ? []
      : [
          ...fields,
          '',
          '  constructor(content: ErrorContent) {',
          '    super(content);',
          ...(reads.some((read) => read.includes('metadata'))
            ? ['    const { metadata } = content;']
            : []),
          ...reads,
          '  }',
        ];
  const comment = [`/** \`${reason}\` (${code}): ${meaning} */`];
  const declaration = `export class ${className(reason)} extends ScripError {`;
  return `${[...comment, ...(body.length === 0 ? [`${declaration}}`] : [declaration, ...body, '}'])].join('\n')}\n`;
}
