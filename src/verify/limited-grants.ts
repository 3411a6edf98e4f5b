/**
 * Grants that are limited to operations: the credits that an entry takes of them must fit its usages of
 * those operations. It is a matching of grants to operations, found by augmenting paths.
 */
import type { Entry, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Report } from './findings.ts';

/** The credits that an entry takes of a limited grant, and the operations they are assigned to. */
type Draw = {
  readonly operations: readonly string[];
  unassigned: bigint;
  readonly assigned: Map<string, bigint>;
};

type Usages = Entry['usages'];

export class LimitedGrants {
  readonly #grants: ReadonlyMap<bigint, Grant>;
  /** The usages that open reservations were made for: a late commit by credits may take as much. */
  readonly #reservedFor = new Map<string, Usages>();

  constructor(grants: ReadonlyMap<bigint, Grant>) {
    this.#grants = grants;
  }

  /** Checks the account's next entry. */
  check(entry: Entry, report: Report) {
    const { kind, moves, late } = entry;
    // Another system has decided which grants paid for what.
    if (kind === 'IMPORT') return;
    const reservationId = entry.reservationId ?? '';
    const before = this.#reservedFor.get(reservationId) ?? [];
    if (kind === 'RESERVE' || kind === 'RAISE')
      this.#reservedFor.set(reservationId, [...before, ...entry.usages]);
    if (kind === 'RELEASE' || entry.final) this.#reservedFor.delete(reservationId);
    const usages = late && entry.usages.length === 0 ? before : entry.usages;
    const limited = moves.filter(
      ({ grantId }) => (this.#grants.get(grantId)?.operations.length ?? 0) > 0,
    );
    if (usages.length > 0) {
      if (limited.length > 0 && !isAssignable(moves, usages, this.#grants))
        report('takes more of limited grants than the usages of their operations cost');
      return;
    }
    // An entry without usages may only commit what its reservation holds of limited grants. What expires, is voided
    // or clawed back pays for nothing.
    const drawn = limited.find(
      ({ from, to }) => from === 'available' && !['expired', 'voided', 'issued'].includes(to),
    );
    if (drawn)
      report(`takes credits of grant ${drawn.grantId}, which is limited, for no operation`);
  }
}

/** Whether the credits taken of limited grants can be assigned to usages of their operations. */
function isAssignable(
  moves: readonly Move[],
  usages: Usages,
  grants: ReadonlyMap<bigint, Grant>,
): boolean {
  const demand = new Map<string, bigint>();
  for (const { usage, credits } of usages)
    demand.set(usage.operation, (demand.get(usage.operation) ?? 0n) + credits);
  // Other grants can pay for whatever remains, so only the limited ones are assigned.
  const draws: Draw[] = moves
    .filter(({ to }) => to === 'consumed' || to === 'reserved')
    .flatMap(({ grantId, credits }) => {
      const { operations = [] } = grants.get(grantId) ?? {};
      return operations.length > 0 ? { operations, unassigned: credits, assigned: new Map() } : [];
    });
  for (const draw of draws)
    while (draw.unassigned > 0n) {
      const credits = assign(draw, draw.unassigned, demand, draws, new Set());
      if (credits === 0n) return false;
      draw.unassigned -= credits;
    }
  return true;
}

/** Assigns up to `credits` of a draw to one of its operations. Returns how many. */
function assign(
  draw: Draw,
  credits: bigint,
  demand: Map<string, bigint>,
  draws: readonly Draw[],
  visited: Set<string>,
): bigint {
  for (const operation of draw.operations) {
    if (visited.has(operation)) continue;
    visited.add(operation);
    const open = demand.get(operation) ?? 0n;
    const assigned =
      open > 0n ? min(credits, open) : reassign(operation, credits, demand, draws, visited);
    if (assigned === 0n) continue;
    if (open > 0n) demand.set(operation, open - assigned);
    draw.assigned.set(operation, (draw.assigned.get(operation) ?? 0n) + assigned);
    return assigned;
  }
  return 0n;
}

/** Moves another draw from this operation to one of its others. Returns the credits that this frees. */
function reassign(
  operation: string,
  credits: bigint,
  demand: Map<string, bigint>,
  draws: readonly Draw[],
  visited: Set<string>,
): bigint {
  for (const draw of draws) {
    const assigned = draw.assigned.get(operation) ?? 0n;
    if (assigned === 0n) continue;
    const moved = assign(draw, min(credits, assigned), demand, draws, visited);
    if (moved > 0n) {
      draw.assigned.set(operation, assigned - moved);
      return moved;
    }
  }
  return 0n;
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
