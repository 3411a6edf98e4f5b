/** Reads entries as the audit needs them: with their JSON as the text that is stored. */
import type { EntryKind, Move, StoredEntry } from '../ledger/entry.ts';
import { readContent, type StoredContent, toMoves, toUsages } from '../ledger/entry-content.ts';
import type { SealedEntry } from '../ledger/hash-chain.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { KIND_CODES } from '../store/tables/codes.ts';
import { entries as table } from '../store/tables/entries.ts';
import { requestIdToBytes } from '../store/tables/request-id.ts';
import type { Report } from './findings.ts';

/** Every column; JSON as text, because the driver's JSON has lost what the text says twice or in another order. */
export const entrySelectList: string = table.columns
  .map(({ name, elementType }) => {
    if (elementType === 'instant') return millis(name);
    return elementType === 'json' ? `${name}::text` : name;
  })
  .join(', ');

/** Throws if the row is no entry: the database checks only that content and personal data are JSON. */
export function readEntry(row: Row): StoredEntry {
  const { content, personal }: { readonly [name: string]: string | null } = row;
  const parsed: { readonly [name: string]: unknown } = {
    ...row,
    content: JSON.parse(content ?? 'null'),
    personal: JSON.parse(personal ?? 'null'),
  };
  const entry = table.read(parsed as Row);
  const error = findShapeError(entry);
  if (error) throw new Error(error);
  return entry;
}

/** What other checks rely on, because JSON may be anything. */
function findShapeError(entry: StoredEntry): string | null {
  const { at, expiresAt, usages, overCommitPolicy, details, labels, personal } = entry;
  const { onBehalfOf, certificate } = entry;
  if (![at, expiresAt ?? 0].every(isInstant)) return 'a time is none';
  const attributes = usages.map(({ usage }) => Object.fromEntries(usage.attributes));
  if (![details, labels, personal, { onBehalfOf, certificate }, ...attributes].every(isTexts))
    return 'a text is none';
  if (usages.some(({ usage }) => typeof usage.operation !== 'string'))
    return 'the operation of a usage is no text';
  if (!['REJECT', 'CAP', 'DRAW', 'TAKE'].includes(overCommitPolicy ?? 'REJECT'))
    return `there is no over-commit policy ${overCommitPolicy}`;
  return null;
}

/** The last instant of a JavaScript Date. */
const INSTANT_MAX = 8.64e15;

const isInstant = (at: number): boolean => Number.isSafeInteger(at) && Math.abs(at) <= INSTANT_MAX;

const isTexts = (members: unknown): boolean =>
  typeof members === 'object' &&
  members !== null &&
  !Array.isArray(members) &&
  Object.values(members).every((value) => typeof value === 'string');

/**
 * Reports what the hash does not cover, because other bytes are read as the same entry. `sealed` is the entry
 * with the texts that it would be stored with.
 */
export function checkStoredForm(
  row: Row,
  { contentJson, personalJson, requestId }: SealedEntry,
  report: Report,
) {
  if (row['content'] !== contentJson) report('its content is not as the service writes it');
  if (row['personal'] !== personalJson)
    report('its personal data are not as the service writes them');
  const stored: Uint8Array | null = row['request_id']!;
  // A repetition of the request looks for these bytes.
  if (stored !== null && Buffer.compare(stored, requestIdToBytes(requestId)) !== 0)
    report('its request id is not as the service writes it');
}

/** Bytes of a fingerprint at least. */
const FINGERPRINT_MIN = 16;

/** Personal data are complete, with the salt and the request they belong to, or erased as a whole. */
export function checkErasure(row: Row, { request, erasedHash }: StoredEntry, report: Report) {
  const has = (...names: readonly string[]) => names.some((name) => row[name] !== null);
  if (erasedHash !== null) {
    if (has('salt', 'fingerprint', 'response', 'reference', 'personal'))
      report('its personal data were erased, and it has some');
    return;
  }
  if (has('salt') !== has('fingerprint', 'response', 'reference', 'personal'))
    report(has('salt') ? 'it has a salt and nothing personal' : 'its personal data have no salt');
  if (request === null) {
    if (has('fingerprint', 'response')) report('it has the response of a request, and no method');
    return;
  }
  if ((request.fingerprint?.length ?? 0) < FINGERPRINT_MIN)
    report('its request has no fingerprint, and was not erased');
  if (request.response === null) report('its request has no response, and was not erased');
}

const KINDS: ReadonlyMap<number, EntryKind> = new Map(
  Object.entries(KIND_CODES).map(([kind, code]) => [code, kind as EntryKind]),
);

/** The kind of an entry in a query of a few columns; undefined if there is no such kind. */
export const kindOf = (code: number | null | undefined): EntryKind | undefined =>
  KINDS.get(code ?? 0);

/** Parsed by the driver. Null: there is no such entry. */
type ContentValue = StoredContent | null | undefined;

/** None if they cannot be read, which entries.ts reports. */
export function movesOf(content: ContentValue): readonly Move[] {
  try {
    return toMoves(content?.m ?? []);
  } catch {
    return [];
  }
}

/** The same of usages. */
export function usagesOf(usages: StoredContent['u'] | null): StoredEntry['usages'] {
  try {
    return toUsages(usages ?? []);
  } catch {
    return [];
  }
}

/** All that a content says; null if it cannot be read. */
export function contentOf(content: ContentValue, kind: EntryKind) {
  try {
    return content ? readContent(content, kind) : null;
  } catch {
    return null;
  }
}
