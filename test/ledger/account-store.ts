/**
 * Stores one account between units of work, in memory. Each command gets a book that is loaded as the
 * service loads it: the first grant in burn order, and of everything else only what the command names or what
 * is due. A command that needs more grants is decided again with all open ones.
 * Only what the book lists in its changes is stored. So a rule fails its tests if it needs something that
 * is not loaded, or changes something without listing it.
 */

import type { Account } from '../../src/ledger/account.ts';
import { Book, MoreGrantsNeeded } from '../../src/ledger/book.ts';
import { type BudgetCounters, counterName } from '../../src/ledger/budget.ts';
import { counterKeysOf } from '../../src/ledger/budget-counts.ts';
import type { CustomPack } from '../../src/ledger/custom-pack.ts';
import { type Command, decide } from '../../src/ledger/decide.ts';
import { reservationFromEntries } from '../../src/ledger/ended-reservation.ts';
import type { StoredEntry } from '../../src/ledger/entry.ts';
import { readContent } from '../../src/ledger/entry-content.ts';
import type { EventDraft } from '../../src/ledger/event.ts';
import { compareBurnOrder, type Grant, grantAvailable, isOpen } from '../../src/ledger/grant.ts';
import { seal } from '../../src/ledger/hash-chain.ts';
import { paymentReferenceKey } from '../../src/ledger/payment-reference.ts';
import type { PlanLeft } from '../../src/ledger/plans-left.ts';
import type { Purchase } from '../../src/ledger/purchase.ts';
import { type RefundableEntry, toRefundableEntry } from '../../src/ledger/refundable.ts';
import { isOver, jobOf, type Reservation } from '../../src/ledger/reservation.ts';
import { newAccount } from '../../src/ledger/rules/account.ts';
import { importedAccount } from '../../src/ledger/rules/import-account.ts';
import { settle } from '../../src/ledger/settle.ts';
import type { Plan, RateCard } from '../../src/pricing/plan.ts';
import type { PublishedPlan } from '../../src/pricing/published-plan.ts';
import { open, origin, published } from './fixtures.ts';

const trace = { traceId: 'f'.repeat(32), spanId: 'f'.repeat(16), sampled: false };
const newSalt = () => new Uint8Array([1, 2, 3]);

export class AccountStore {
  /** The plan the account lives under. */
  plan: Plan;
  /** Plans that the account can move to. */
  readonly otherPlans = new Map<string, Plan>();
  account: Account;
  /** Rate cards of each plan, by version. */
  readonly #rateCards = new Map<string, Map<number, RateCard>>();
  readonly grants = new Map<bigint, Grant>();
  /**
   * Every reservation as the last book left it. One that was committed or released has no row in the
   * database: commands get it from its entries.
   */
  readonly reservations = new Map<string, Reservation>();
  readonly purchases: Purchase[] = [];
  readonly customPacks = new Map<string, CustomPack>();
  readonly refunded = new Map<bigint, bigint>();
  readonly budgetCounters: BudgetCounters = new Map();
  readonly entries: StoredEntry[] = [];
  readonly events: EventDraft[] = [];
  #currentCommand: Command | null = null;
  #reservations = 0;
  #purchases = 0;

  /** The account does not exist before its first command, which opens or imports it. */
  constructor(plan: Plan, now: number, command: Opening = open()) {
    this.plan = plan;
    this.account =
      command.kind === 'OpenAccount'
        ? newAccount('acme', command, plan, now)
        : importedAccount('acme', command, plan, now);
  }

  /** Puts another rate card in force. Earlier versions stay readable. */
  publish(rateCard: RateCard) {
    this.#rateCardsOf(this.plan);
    this.plan = { ...this.plan, rateCard };
  }

  /** A unit of work for one command. Null: the account is only settled. */
  run(now: number, command: Command | null) {
    const { book, outcomes } = this.runGroup(now, command ? [command] : []);
    return { book, outcome: outcomes[0] ?? null };
  }

  /** A unit of work for several commands: settles the account, then decides them in order. */
  runGroup(now: number, commands: readonly Command[]) {
    const ids = [this.#reservations, this.#purchases] as const;
    try {
      return this.#runWith(now, commands, 1);
    } catch (error) {
      if (!(error instanceof MoreGrantsNeeded)) throw error;
      [this.#reservations, this.#purchases] = ids;
      return this.#runWith(now, commands, Number.POSITIVE_INFINITY);
    }
  }

  #runWith(now: number, commands: readonly Command[], grantLimit: number) {
    const book = this.loadBook(now, commands, grantLimit);
    if (!commands[0] || !isOpening(commands[0])) settle(book, trace);
    const outcomes = commands.map((command) => this.decide(book, command));
    this.saveBook(book);
    return { book, outcomes };
  }

  decide(book: Book, command: Command) {
    this.#currentCommand = command;
    return decide(book, command, origin);
  }

  /** The book for these commands, before settling. Of the open grants it has those that burn first. */
  loadBook(now: number, commands: readonly Command[], grantLimit = Number.POSITIVE_INFINITY): Book {
    const { account, plans } = this;
    const at = Math.max(now, account.lastAt);
    const due = account.dueAt !== null && account.dueAt <= at;
    const named = {
      reservations: commands.flatMap((c) => ('reservationId' in c ? [c.reservationId] : [])),
      packs: commands.flatMap((c) => {
        if (c.kind === 'OfferPack') return [c.pack.packId];
        if (c.kind === 'UpdateAccount') return c.autoTopUp ? [c.autoTopUp.packId] : [];
        if (c.kind === 'StartTopUp') return account.autoTopUp ? [account.autoTopUp.packId] : [];
        return c.kind === 'Purchase' || c.kind === 'WithdrawPack' ? [c.packId] : [];
      }),
      refunded: new Set(commands.flatMap((c) => (c.kind === 'Refund' ? [c.seq] : []))),
    };
    const namedGrants = new Set(commands.flatMap((c) => ('grantId' in c ? [c.grantId] : [])));
    const usedAt = commands.flatMap((c) => ('usedAt' in c && c.usedAt !== null ? [c.usedAt] : []));
    const lateSince = Math.min(...usedAt);
    const erases = commands.some(({ kind }) => kind === 'EraseAccountData');
    const purchases = this.purchases.filter((p) => commands.some((c) => isAbout(c, p)));
    const purchasedGrants = new Set(purchases.map(({ grantId }) => grantId));
    const refundables = [...named.refunded].flatMap((seq) => this.#refundable(seq));
    const refundedGrants = new Set(refundables.flatMap(({ split }) => split.map((s) => s.grantId)));
    const isLoaded = ({ reservationId, state, expiresAt }: Reservation) =>
      named.reservations.includes(reservationId) ||
      (state === 'ACTIVE' && (erases || (due && expiresAt <= at)));
    const reservations = [...this.reservations.values()]
      .filter(isLoaded)
      .map((reservation) => (isOver(reservation) ? this.fromEntries(reservation) : reservation));
    const others = [...this.reservations.values()].filter(
      (reservation) => reservation.state === 'ACTIVE' && !isLoaded(reservation),
    );
    const reservedGrants = new Set(
      reservations.flatMap(({ allocations, expiredAllocations }) =>
        [...allocations, ...expiredAllocations].map(({ grantId }) => grantId),
      ),
    );
    const { first, loadedUpTo } = this.#firstGrants(due || account.hasLimitedGrants, grantLimit);
    const loaded = structuredClone({
      account,
      grants: [...this.grants.values()].filter(
        (g) =>
          first.has(g) ||
          namedGrants.has(g.grantId) ||
          reservedGrants.has(g.grantId) ||
          refundedGrants.has(g.grantId) ||
          purchasedGrants.has(g.grantId) ||
          (g.expired > 0n && g.expiresAt !== null && g.expiresAt > lateSince),
      ),
      loadedUpTo,
      reservations,
      purchases,
      customPacks: named.packs.flatMap((packId) => this.customPacks.get(packId) ?? []),
      refundables,
      budgetCounters: this.#counters(commands, reservations, refundables, at),
      nextReservationExpiry: due ? earliest(others.map(({ expiresAt }) => expiresAt)) : null,
      plansLeft: this.plansLeft,
      usageSince: usedAt.length > 0 ? (this.entries[0]?.at ?? at) : null,
    });
    return new Book({ ...loaded, plans }, now, () =>
      ['Purchase', 'StartTopUp', 'ImportAccount'].includes(this.#currentCommand?.kind ?? '')
        ? `p${++this.#purchases}`
        : `r${++this.#reservations}`,
    );
  }

  /** More than a unit of work loads. */
  get plansLeft(): readonly PlanLeft[] {
    return this.entries
      .flatMap(({ at, previousPlanId: planId }) => (planId === null ? [] : { at, planId }))
      .toReversed();
  }

  get plans(): ReadonlyMap<string, PublishedPlan> {
    const all = [this.plan, ...this.otherPlans.values()];
    return new Map(all.map((plan) => [plan.planId, published(plan, this.#rateCardsOf(plan))]));
  }

  #rateCardsOf({ planId, rateCard }: Plan): Map<number, RateCard> {
    const rateCards = this.#rateCards.get(planId) ?? new Map<number, RateCard>();
    this.#rateCards.set(planId, rateCards);
    return rateCards.set(rateCard.version, rateCard);
  }

  /** A book with everything that is stored. */
  loadWholeBook(now: number): Book {
    const { account, plans, purchases } = this;
    const loaded = {
      account,
      grants: [...this.grants.values()],
      reservations: [...this.reservations.values()],
      purchases,
      customPacks: [...this.customPacks.values()],
      loadedUpTo: null,
    };
    const more = {
      plans,
      refundables: [],
      budgetCounters: null,
      nextReservationExpiry: null,
      plansLeft: this.plansLeft,
      usageSince: null,
    };
    return new Book({ ...structuredClone(loaded), ...more }, now, () => 'new');
  }

  /** All open grants, or the first that can be spent in burn order, and the last of them if there are more. */
  #firstGrants(needsAll: boolean, limit: number) {
    const open = [...this.grants.values()].filter(isOpen).sort(compareBurnOrder);
    if (needsAll || limit === Number.POSITIVE_INFINITY)
      return { first: new Set(open), loadedUpTo: null };
    const spendable = open.filter((grant) => grantAvailable(grant) > 0n);
    const first = spendable.slice(0, limit);
    return {
      first: new Set(first),
      loadedUpTo: first.length === limit ? (first.at(-1) ?? null) : null,
    };
  }

  saveBook(book: Book) {
    const { account, changes } = book;
    for (const unsealed of changes.entries) {
      const { contentJson, personalJson: _, ...sealed } = seal(unsealed, account.lastHash, newSalt);
      account.lastHash = sealed.hash;
      this.entries.push({ ...sealed, ...readContent(JSON.parse(contentJson), sealed.kind) });
    }
    if (book.hasChanges) this.account = account;
    const newPlan = this.otherPlans.get(account.planId);
    if (newPlan) {
      this.otherPlans.delete(account.planId);
      this.otherPlans.set(this.plan.planId, this.plan);
      this.plan = newPlan;
    }
    for (const grant of changes.grants.added) this.grants.set(grant.grantId, grant);
    for (const grant of changes.grants.changed) {
      const stored = this.grants.get(grant.grantId);
      const terms = changes.grantTerms.has(grant) ? grant : (stored ?? grant);
      const { voided, voidOnReturn, expired, priority, expiresAt, operations } = terms;
      const columns = { voided, voidOnReturn, expired, priority, expiresAt, operations };
      this.grants.set(grant.grantId, { ...grant, ...columns });
    }
    for (const reservations of [changes.reservations.added, changes.reservations.changed])
      for (const r of reservations) this.reservations.set(r.reservationId, r);
    this.purchases.push(...changes.purchases.added);
    for (const changed of changes.purchases.changed)
      this.purchases.splice(
        this.purchases.findIndex(({ purchaseId }) => purchaseId === changed.purchaseId),
        1,
        changed,
      );
    for (const [packId, pack] of changes.customPacks) this.customPacks.set(packId, pack);
    this.events.push(...changes.events);
    for (const counter of changes.budgetCounters)
      this.budgetCounters.set(counterName(counter), counter);
    for (const { seq, refunded } of changes.refundables.changed) this.refunded.set(seq, refunded);
  }

  /** A reservation that has ended, as the service reads it. */
  fromEntries({ reservationId }: Pick<Reservation, 'reservationId'>): Reservation {
    return reservationFromEntries(
      this.entries.filter(
        (entry) => entry.reservationId === reservationId && entry.kind !== 'REFUND',
      ),
    );
  }

  /** A commit or charge, as the service loads it for a refund. */
  #refundable(seq: bigint): RefundableEntry[] {
    const found = this.entries.find((entry) => entry.seq === seq);
    if (found?.kind !== 'COMMIT' && found?.kind !== 'CHARGE') return [];
    const refundable = toRefundableEntry(found, this.refunded.get(seq) ?? 0n);
    const isStart = ({ kind, reservationId }: StoredEntry) =>
      kind === 'RESERVE' && reservationId === found.reservationId;
    const start = this.entries.find(isStart);
    if (start && this.account.budgets)
      refundable.start = { seq: start.seq, at: start.usedAt ?? start.at };
    return [refundable];
  }

  /** The counters that these may change, and no others. */
  #counters(
    commands: readonly Command[],
    reservations: readonly Reservation[],
    refundables: readonly RefundableEntry[],
    at: number,
  ): BudgetCounters | null {
    const { budgets, seq } = this.account;
    if (budgets === null) return null;
    const operations = commands.flatMap((command) =>
      'amount' in command && command.amount !== 'all' && 'usages' in command.amount
        ? command.amount.usages.map(({ operation }) => operation)
        : [],
    );
    const jobs = [
      ...commands.flatMap((c) =>
        c.kind === 'Reserve' || c.kind === 'Charge'
          ? [
              {
                job: { startSeq: seq + 1n, startedAt: c.usedAt ?? at, labels: c.labels },
                operations,
              },
            ]
          : [],
      ),
      ...reservations.map((reservation) => ({
        job: jobOf(reservation),
        operations: [
          ...operations,
          ...(reservation.heldByOperation ?? []).flatMap(({ operation }) => operation ?? []),
        ],
      })),
      ...refundables.flatMap(({ start, labels, usages }) =>
        start
          ? [
              {
                job: { startSeq: start.seq, startedAt: start.at, labels },
                operations: usages.map(({ usage }) => usage.operation),
              },
            ]
          : [],
      ),
    ];
    const keys = jobs.flatMap(({ job, operations }) =>
      counterKeysOf(this.account, job, operations),
    );
    return new Map(
      keys.map((key) => {
        const unused = { accountId: 'acme', ...key, used: 0n, reportedCap: null };
        return [counterName(key), this.budgetCounters.get(counterName(key)) ?? unused];
      }),
    );
  }
}

/** The commands that an account begins with. */
export type Opening = Extract<Command, { kind: 'OpenAccount' | 'ImportAccount' }>;

export const isOpening = (command: Command): command is Opening =>
  command.kind === 'OpenAccount' || command.kind === 'ImportAccount';

const earliest = (instants: readonly number[]): number | null =>
  instants.length > 0 ? Math.min(...instants) : null;

/** Whether a command names a purchase by its id or payment reference. */
function isAbout(command: Command, { purchaseId, paymentReference }: Purchase): boolean {
  if (
    command.kind === 'SyncPurchase' ||
    command.kind === 'ResolvePurchase' ||
    command.kind === 'EndTopUp'
  )
    return command.purchaseId === purchaseId;
  if (command.kind === 'EraseAccountData') return true;
  return (
    command.kind === 'Purchase' &&
    command.payment.method === 'REFERENCE' &&
    paymentReference !== null &&
    paymentReferenceKey(command.payment.reference) === paymentReferenceKey(paymentReference)
  );
}
