/** What the service's histories say about credits, by plan and month. */
import { Bucket_Kind, type Entry, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { monthOf } from './calendar.ts';

/** Credits of a month. Refunds are subtracted in the month in which they were made. */
export type Flow = {
  /** By allowances and welcome grants. */
  granted: bigint;
  /** By packs. */
  bought: bigint;
  /** Of grants. */
  spent: bigint;
  /** Spent beyond all grants. */
  overage: bigint;
  expired: bigint;
  /** By operators. */
  voided: bigint;
  /** Brought from another plan by accounts that moved, less what was taken to one. */
  moved: bigint;
  entries: number;
};

const noFlow = (): Flow => ({
  granted: 0n,
  bought: 0n,
  spent: 0n,
  overage: 0n,
  expired: 0n,
  voided: 0n,
  moved: 0n,
  entries: 0,
});

const { ISSUED, OVERAGE, OVERAGE_RESERVED, CONSUMED, EXPIRED, VOIDED } = Bucket_Kind;

export class Flows {
  /** By plan, then by month. */
  readonly #flows = new Map<string, Map<string, Flow>>();

  get plans(): readonly string[] {
    return [...this.#flows.keys()].sort();
  }

  /** The first and the last month with an entry, and those between them that have one. */
  get months(): readonly string[] {
    const all = [...this.#flows.values()].flatMap((months) => [...months.keys()]);
    return [...new Set(all)].sort();
  }

  of(planId: string, month: string): Readonly<Flow> {
    return this.#flows.get(planId)?.get(month) ?? noFlow();
  }

  /** Adds the entries of one account, in order, each to the plan that the account has then. */
  account(): (entry: Entry) => void {
    let planId = '';
    let remaining = 0n;
    return (entry) => {
      const month = monthOf(entry.at?.getTime() ?? 0);
      if (planId === '') planId = entry.planId;
      if (entry.kind === Entry_Kind.PLAN_CHANGE) {
        this.#flow(planId, month).moved -= remaining;
        planId = entry.planId;
        this.#flow(planId, month).moved += remaining;
      }
      const flow = this.#flow(planId, month);
      flow.entries += 1;
      remaining += addMoves(flow, entry);
    };
  }

  #flow(planId: string, month: string): Flow {
    const months = this.#flows.get(planId) ?? new Map<string, Flow>();
    this.#flows.set(planId, months);
    const flow = months.get(month) ?? noFlow();
    months.set(month, flow);
    return flow;
  }
}

/** By how much the moves change what grants have, held credits included. */
function addMoves(flow: Flow, { kind, moves }: Entry): bigint {
  let change = 0n;
  for (const { from, to, credits } of moves) {
    const isOverage = [from?.kind, to?.kind].some(
      (kind) => kind === OVERAGE || kind === OVERAGE_RESERVED,
    );
    // A move out of a bucket takes back what a move into it adds.
    const net = (bucket: Bucket_Kind) =>
      (to?.kind === bucket ? credits : 0n) - (from?.kind === bucket ? credits : 0n);
    const [issued, consumed] = [-net(ISSUED), net(CONSUMED)];
    const [expired, voided] = [net(EXPIRED), net(VOIDED)];
    flow[kind === Entry_Kind.PURCHASE ? 'bought' : 'granted'] += issued;
    flow[isOverage ? 'overage' : 'spent'] += consumed;
    flow.expired += expired;
    flow.voided += voided;
    change += issued - (isOverage ? 0n : consumed) - expired - voided;
  }
  return change;
}
