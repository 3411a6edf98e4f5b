/** What a month's statement must say. */
import type { Grant_Category } from '../../../src/gen/billing/v1/ledger.ts';
import type { OperationUsage, Statement } from '../../../src/gen/billing/v1/statement_service.ts';
import { amountDue, dollars, priceOverage, sumOfLines } from '../../year/rates.ts';
import { PLANS } from '../plans.ts';
import { monthOf as monthIn } from './calendar.ts';
import { type AccountState, OVERAGE, type Part, type Spending, sum, totalOf } from './state.ts';

/** What is not predicted of a statement is taken from `shown`: its plan, whether it is billed, its closing. */
export function expectStatement(
  state: AccountState,
  entries: readonly { readonly seq: bigint; readonly at: Date | undefined }[],
  earlier: readonly Statement[],
  shown: Statement,
): Statement {
  const { month } = shown;
  const seqWhere = (isIn: (name: string) => boolean) =>
    entries.reduce(
      (last, { seq, at }) => (isIn(monthIn(state.timeZones, at?.getTime() ?? 0)) ? seq : last),
      0n,
    );
  const used = new Month(state, month);
  const { overage } = used;
  const rates = shown.overageRates && ratesOf(shown.planId);
  const lines = rates ? priceOverage(rates, overage) : [];
  const adjustments = used.adjustments(earlier);
  const total = sumOfLines(lines) + sum(adjustments, ({ nanos }) => nanos ?? 0n);
  const isAdjusted = !rates && adjustments.some(({ nanos }) => nanos !== null);
  const money = (nanos: bigint) => ({ currency: 'USD', amount: dollars(nanos) });
  return {
    accountId: state.accountId,
    month,
    planId: shown.planId,
    closedAt: shown.closedAt,
    afterSeq: seqWhere((name) => name < month),
    lastSeq: seqWhere((name) => name <= month),
    usage: used.usage,
    creditsUsed: used.categories,
    overage,
    owed: used.owed,
    owedPaid: state.owedPaid.get(month) ?? 0n,
    overageRates: rates,
    overageLines: lines.map(({ tier, quantity, unitPrice, amount }) => ({
      tier,
      quantity,
      unitPrice,
      amount: money(amount),
    })),
    adjustments: adjustments.map(({ nanos, ...adjustment }) => ({
      ...adjustment,
      amount: nanos === null ? undefined : money(nanos),
    })),
    total: rates ? money(total) : undefined,
    otherTotals: isAdjusted ? [money(total)] : [],
  };
}

function ratesOf(planId: string): Statement['overageRates'] {
  const rates = PLANS.find((plan) => plan.planId === planId)?.overage?.rates;
  return rates
    ? {
        mode: rates.mode === 'graduated' ? 1 : 2,
        currency: 'USD',
        tiers: rates.tiers.map(({ upTo, price }) => ({
          upTo: upTo === null ? undefined : BigInt(upTo),
          unitPrice: price,
        })),
      }
    : undefined;
}

class Month {
  readonly #state: AccountState;
  readonly #operations = new Map<string, OperationUsage>();
  readonly #categories = new Map<Grant_Category, bigint>();
  /** Overage of earlier months that was refunded in this one. */
  readonly #earlier = new Map<string, bigint>();
  overage = 0n;
  owed = 0n;

  constructor(state: AccountState, month: string) {
    this.#state = state;
    const monthOf = (at: number) => monthIn(state.timeZones, at);
    for (const { at, split, uses } of state.spendings.values()) {
      if (monthOf(at) !== month) continue;
      for (const { operation, count, credits } of uses) this.#add(operation, count, credits, 0n);
      this.#consume(split, 1n);
    }
    const { imported } = state;
    if (imported && monthOf(imported.at) === month) {
      for (const { operation, count, credits } of imported.uses)
        this.#add(operation, count, credits, 0n);
      this.#consume(imported.split, 1n);
    }
    for (const { at, spending, split } of state.refunds) {
      if (monthOf(at) !== month) continue;
      const before = monthOf(spending.at);
      if (before === month) {
        this.#consume(split, -1n);
        for (const { operation, credits } of givenBack(spending, split))
          this.#add(operation, 0n, -credits, credits);
        continue;
      }
      const overage = totalOf(split.filter(({ grantId }) => grantId === OVERAGE));
      if (overage > 0n) this.#earlier.set(before, (this.#earlier.get(before) ?? 0n) + overage);
    }
  }

  get usage(): OperationUsage[] {
    const all = [...this.#operations.values()].filter(
      ({ operation, credits, refunded }) => operation !== '' || credits > 0n || refunded > 0n,
    );
    const key = ({ operation }: OperationUsage) => operation || '~';
    return all.sort((a, b) => (key(a) < key(b) ? -1 : 1));
  }

  get categories() {
    const some = [...this.#categories].filter(([, credits]) => credits > 0n);
    return some
      .map(([category, credits]) => ({ category, credits }))
      .sort((a, b) => a.category - b.category);
  }

  /** By how much less each earlier month would have cost: one that late usage keeps open as if it were closed now. */
  adjustments(statements: readonly Statement[]) {
    const months = [...this.#earlier].sort(([a], [b]) => (a < b ? -1 : 1));
    return months.map(([month, credits]) => {
      const billed = statements.find((statement) => statement.month === month);
      const rates = billed?.overageRates;
      if (!rates) return { month, credits, nanos: null };
      const before = sum(
        statements.flatMap(({ adjustments }) => adjustments).filter((one) => one.month === month),
        (adjustment) => adjustment.credits,
      );
      const due = (refunded: bigint) => amountDue(rates, billed.overage, refunded);
      return { month, credits, nanos: due(before + credits) - due(before) };
    });
  }

  #add(operation: string, count: bigint, credits: bigint, refunded: bigint) {
    const before = this.#operations.get(operation) ?? {
      operation,
      count: 0n,
      credits: 0n,
      refunded: 0n,
    };
    this.#operations.set(operation, {
      operation,
      count: before.count + count,
      credits: before.credits + credits,
      refunded: before.refunded + refunded,
    });
  }

  #consume(split: readonly Part[], sign: bigint) {
    for (const { grantId, credits } of split) {
      if (grantId <= OVERAGE) {
        if (grantId === OVERAGE) this.overage += sign * credits;
        else this.owed += sign * credits;
        continue;
      }
      const { category } = this.#state.grant(grantId);
      this.#categories.set(category, (this.#categories.get(category) ?? 0n) + sign * credits);
    }
  }
}

/** Which uses a refund gives back: the last credits first, after those that were refunded before. */
export function givenBack({ uses, refunded }: Spending, split: readonly Part[]) {
  const to = refunded + totalOf(split);
  const given: { readonly operation: string; readonly credits: bigint }[] = [];
  let begin = 0n;
  for (const { operation, credits: all } of uses.toReversed()) {
    const end = begin + all;
    const here = (end < to ? end : to) - (begin > refunded ? begin : refunded);
    if (here > 0n) given.push({ operation, credits: here });
    begin = end;
  }
  return given;
}
