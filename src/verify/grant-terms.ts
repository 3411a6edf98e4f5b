/**
 * The terms of grants. The entry that makes a grant states them; entries of UpdateGrant state which of them they
 * change, from what and to what. So each entry is checked by the terms of its time, and a grant's row has the last.
 */
import type { Entry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Erasure } from './erasure.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';

/** Erased references are null. */
type MakingEntry = Pick<Entry, 'seq' | 'details' | 'purchaseId'> & {
  readonly reference: string | null;
};

/** Details that UpdateGrant can change. */
export const CHANGEABLE_TERMS = ['priority', 'expires_at', 'operations'] as const;
type TermName = (typeof CHANGEABLE_TERMS)[number];

/** Details of the entry that made a grant. */
export const GRANT_DETAILS = [
  'source',
  'source_reference',
  'category',
  'effective_at',
  ...CHANGEABLE_TERMS,
];

/** What entries have said of a term, and the last that did. */
type Said = { readonly text: string; readonly seq: bigint };

export class GrantTerms {
  /** The grants with their terms as of the entry that is checked: their other fields are those of the rows. */
  readonly current: ReadonlyMap<bigint, Grant>;
  readonly #current: Map<bigint, Grant>;
  readonly #rows: ReadonlyMap<bigint, Grant>;
  readonly #said = new Map<bigint, Readonly<Record<TermName, Said>>>();
  /** Of grants whose operations changed: from which seq on they are limited, or not. */
  readonly #limits = new Map<bigint, { readonly seq: bigint; readonly isLimited: boolean }[]>();

  constructor(rows: ReadonlyMap<bigint, Grant>) {
    this.#rows = rows;
    this.#current = new Map(rows);
    this.current = this.#current;
  }

  /** Whether the grant was limited to operations when the entry `seq` was written. */
  wasLimited(grantId: bigint, seq: bigint): boolean {
    const changes = this.#limits.get(grantId);
    if (!changes) return (this.#rows.get(grantId)?.operations.length ?? 0) > 0;
    return changes.findLast((change) => change.seq <= seq)?.isLimited ?? false;
  }

  /** An entry that made a grant. */
  make(grant: Grant, entry: MakingEntry, erasure: Erasure, report: Report) {
    checkFixedTerms(grant, entry, erasure, report);
    const { seq, details } = entry;
    const said = (name: TermName) => ({ text: details[name] ?? '', seq });
    this.#say(grant, {
      priority: said('priority'),
      expires_at: said('expires_at'),
      operations: said('operations'),
    });
  }

  /** An entry of UpdateGrant. `reserved` is what reservations hold of the grant. */
  update({ seq, at, grantId, details }: Entry, reserved: bigint, report: Report) {
    const grant = this.#current.get(grantId ?? 0n);
    const before = grant && this.#said.get(grant.grantId);
    if (!before) return report(`changes grant ${grantId}, which does not exist`);
    const { grantId: id, operations } = grant;
    const after = { ...before };
    for (const name of CHANGEABLE_TERMS) {
      const [text, previous] = [details[name], details[`previous_${name}`]];
      if (text === undefined && previous === undefined) continue;
      if (previous !== before[name].text)
        report(`says that ${name} of grant ${id} was ${previous}, it was ${before[name].text}`);
      if (text === previous || text === undefined) report(`does not change ${name} of grant ${id}`);
      else after[name] = { text, seq };
    }
    if (CHANGEABLE_TERMS.every((name) => after[name] === before[name]))
      report(`changes nothing of grant ${id}`);
    const changed = this.#say(grant, after);
    if (after.expires_at !== before.expires_at && isOver(changed, at))
      report(`has grant ${id} expire at ${after.expires_at.text}`);
    if (reserved > 0n && !includesAll(changed.operations, operations))
      report(`takes operations from grant ${id}, of which ${reserved} are reserved`);
  }

  /** Compares the grants' rows. What no entry said is reported elsewhere. */
  finish(report: Report) {
    for (const [grantId, said] of this.#said) {
      const row = this.#rows.get(grantId);
      if (!row) continue;
      const stated = textsOf(row);
      for (const name of CHANGEABLE_TERMS)
        if (stated[name] !== said[name].text)
          report(
            `grant ${grantId}: ${name} is ${stated[name]}, entry ${said[name].seq} says ${said[name].text}`,
          );
    }
  }

  #say(grant: Grant, said: Readonly<Record<TermName, Said>>): Grant {
    const { grantId } = grant;
    this.#said.set(grantId, said);
    const terms = read(said);
    const isSame =
      terms.priority === grant.priority &&
      terms.expiresAt === grant.expiresAt &&
      terms.operations.join() === grant.operations.join();
    const changed = isSame ? grant : { ...grant, ...terms };
    this.#current.set(grantId, changed);
    const isLimited = terms.operations.length > 0;
    const row = this.#rows.get(grantId);
    const limits = this.#limits.get(grantId);
    // Of most grants the row says it.
    if (limits || isLimited !== (row?.operations.length ?? 0) > 0)
      this.#limits.set(grantId, [...(limits ?? []), { seq: said.operations.seq, isLimited }]);
    return changed;
  }
}

const isOver = ({ expiresAt, effectiveAt }: Grant, at: number): boolean =>
  expiresAt !== null && !(expiresAt > at && expiresAt > effectiveAt);

/** Whether a grant of these operations pays for all that one of `others` pays for. Without any: for all. */
const includesAll = (operations: readonly string[], others: readonly string[]): boolean =>
  operations.length === 0 ||
  (others.length > 0 && others.every((operation) => operations.includes(operation)));

/** What cannot be read is of no instant and no priority. */
const read = (said: Readonly<Record<TermName, Said>>) => ({
  priority: Number(said.priority.text),
  expiresAt: said.expires_at.text === 'never' ? null : Date.parse(said.expires_at.text),
  operations: said.operations.text === '' ? [] : said.operations.text.split(','),
});

const textsOf = ({
  priority,
  expiresAt,
  operations,
}: Grant): Readonly<Record<TermName, string>> => ({
  priority: `${priority}`,
  expires_at: expiresAt === null ? 'never' : instant(expiresAt),
  operations: operations.join(','),
});

/** The terms that never change: the row has those of the entry that made it. */
function checkFixedTerms(grant: Grant, entry: MakingEntry, erasure: Erasure, report: Report) {
  const { details } = entry;
  const compare = (name: string, stated: unknown, said: unknown) => {
    if (stated !== said) report(`${name} is ${stated}, entry ${entry.seq} says ${said}`);
  };
  const { source, category, effectiveAt } = grant;
  compare('source', source, details['source']);
  compare('category', category, details['category']);
  compare('effective_at', instant(effectiveAt), details['effective_at']);
  if (source === 'OPERATOR' && entry.seq < erasure.seq) {
    if (grant.sourceReference === '') return;
    if (erasure.ended && entry.seq < erasure.ended.seq)
      report(`source_reference is ${grant.sourceReference}, entry ${erasure.ended.seq} erased it`);
  }
  const reference = sourceReferenceOf(grant, entry);
  if (reference !== null) compare('source_reference', grant.sourceReference, reference);
}

/** What the entry says of it; null if that was erased. */
function sourceReferenceOf(
  { source }: Grant,
  { details, purchaseId, reference }: MakingEntry,
): string | null {
  if (source === 'PURCHASE') return purchaseId ?? '';
  return source === 'OPERATOR' ? reference : (details['source_reference'] ?? '');
}
