/**
 * Grants that are limited to operations: what an entry took of them must fit the usages it was for.
 * A grant's credits are dealt out one after the other, and moved on where they stand in another
 * one's way; what cannot be dealt out was not for the entry to take.
 */
import type { Entry, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';

/** What an entry took of a limited grant, and where it is dealt out to. */
type Taken = {
  readonly operations: readonly string[];
  left: bigint;
  readonly dealt: Map<string, bigint>;
};

type Usages = Entry['usages'];

export class LimitedGrants {
  readonly #grants: ReadonlyMap<bigint, Grant>;
  readonly #limited: boolean;
  /** What reservations were made for: a late commit by credits may take as much. */
  readonly #reservedFor = new Map<string, Usages>();

  constructor(grants: ReadonlyMap<bigint, Grant>) {
    this.#grants = grants;
    this.#limited = [...grants.values()].some(({ operations }) => operations.length > 0);
  }

  /** The account's next entry. */
  take(entry: Entry, report: (what: string) => void) {
    if (!this.#limited) return;
    const { kind, moves, late } = entry;
    const reservationId = entry.reservationId ?? '';
    const before = this.#reservedFor.get(reservationId) ?? [];
    if (kind === 'RESERVE' || kind === 'RAISE')
      this.#reservedFor.set(reservationId, [...before, ...entry.usages]);
    const usages = late && entry.usages.length === 0 ? before : entry.usages;
    const limited = moves.filter(
      ({ grantId }) => (this.#grants.get(grantId)?.operations.length ?? 0) > 0,
    );
    if (usages.length > 0) {
      if (limited.length > 0 && !fits(moves, usages, this.#grants))
        report('takes more of limited grants than the usages of their operations cost');
      return;
    }
    // By credits alone a reservation's own may be committed, and nothing else that is limited.
    const freely = limited.find(({ from, to }) => from === 'available' && to !== 'expired');
    if (freely)
      report(`takes credits of grant ${freely.grantId}, which is limited, for no operation`);
  }
}

function fits(moves: readonly Move[], usages: Usages, grants: ReadonlyMap<bigint, Grant>): boolean {
  const open = new Map<string, bigint>();
  for (const { usage, credits } of usages)
    open.set(usage.operation, (open.get(usage.operation) ?? 0n) + credits);
  // What is not limited may pay whatever these leave: it is enough that these find their place.
  const all: Taken[] = moves
    .filter(({ to }) => to === 'consumed' || to === 'reserved')
    .flatMap(({ grantId, credits }) => {
      const { operations = [] } = grants.get(grantId) ?? {};
      return operations.length > 0 ? { operations, left: credits, dealt: new Map() } : [];
    });
  for (const taken of all)
    while (taken.left > 0n) {
      const dealt = deal(taken, taken.left, open, all, new Set());
      if (dealt === 0n) return false;
      taken.left -= dealt;
    }
  return true;
}

/** Deals out up to `credits`, to one operation; answers how many. */
function deal(
  taken: Taken,
  credits: bigint,
  open: Map<string, bigint>,
  all: readonly Taken[],
  seen: Set<string>,
): bigint {
  for (const name of taken.operations) {
    if (seen.has(name)) continue;
    seen.add(name);
    const room = open.get(name) ?? 0n;
    const dealt = room > 0n ? smaller(credits, room) : moveOn(name, credits, open, all, seen);
    if (dealt === 0n) continue;
    if (room > 0n) open.set(name, room - dealt);
    taken.dealt.set(name, (taken.dealt.get(name) ?? 0n) + dealt);
    return dealt;
  }
  return 0n;
}

/** Has somebody who was dealt this operation take another one; answers how much room that made. */
function moveOn(
  name: string,
  credits: bigint,
  open: Map<string, bigint>,
  all: readonly Taken[],
  seen: Set<string>,
): bigint {
  for (const other of all) {
    const has = other.dealt.get(name) ?? 0n;
    if (has === 0n) continue;
    const moved = deal(other, smaller(credits, has), open, all, seen);
    if (moved > 0n) {
      other.dealt.set(name, has - moved);
      return moved;
    }
  }
  return 0n;
}

const smaller = (a: bigint, b: bigint): bigint => (a < b ? a : b);
