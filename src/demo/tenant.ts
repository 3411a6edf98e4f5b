/**
 * A tenant of the demo: an account, and the calls that a scenario makes on it. Each call is a step with
 * expected figures and a line of output. The first wrong figure ends the demo.
 */
import { randomUUID } from 'node:crypto';
import { type Scrip, ScripError } from '../client.ts';
import { type Criticality, type Grant, Grant_Category } from '../gen/billing/v1/ledger.ts';
import {
  type Figures,
  formatAllocation,
  formatPrice,
  formatUsage,
  type Line,
  type UsageOf,
} from './step.ts';

export class WrongFigure extends Error {}

/** An event is in the stream as soon as its transaction has committed. */
const EVENT_TIMEOUT_MS = 30_000;

export class Tenant {
  readonly accountId: string;
  readonly lines: Line[] = [];
  readonly #scrip: Scrip;
  readonly #planId: string;

  constructor(scrip: Scrip, planId: string) {
    this.#scrip = scrip;
    this.#planId = planId;
    // A new account each time, so that the demo can run again on the same service.
    this.accountId = `demo-${planId}-${randomUUID().slice(0, 8)}`;
  }

  async open(figures: Figures, note: string) {
    await this.#step('open account', figures, note, async () => {
      const { balance } = await this.#scrip.accounts.openAccount({
        ...this.#newRequest(),
        planId: this.#planId,
      });
      return balance?.remaining;
    });
  }

  /** The price of a usage and, if it exceeds the balance, the first pack that would cover it. */
  async estimate(
    usage: UsageOf,
    figures: Figures & { readonly shortfall: bigint; readonly pack?: string },
    note: string,
  ) {
    await this.#step(`estimate ${formatUsage(usage)}`, figures, note, async () => {
      const estimate = await this.#scrip.billing.estimate({
        accountId: this.accountId,
        usages: { items: [usage] },
      });
      this.check('sufficient', estimate.sufficient, figures.shortfall === 0n);
      this.check('shortfall', estimate.shortfall, figures.shortfall);
      const [offer] = estimate.packs;
      const pack =
        offer && `${offer.quantity} x ${offer.pack?.packId} for ${formatPrice(offer.price)}`;
      this.check('first pack offered', pack, figures.pack);
      return estimate.credits;
    });
  }

  async reserve(usage: UsageOf, figures: Figures, note: string): Promise<string> {
    let reservationId = '';
    await this.#step(`reserve ${formatUsage(usage)}`, figures, note, async () => {
      const { reservation } = await this.#scrip.billing.reserve({
        ...this.#newRequest(),
        usages: { items: [usage] },
      });
      reservationId = reservation?.reservationId ?? '';
      return reservation?.held;
    });
    return reservationId;
  }

  /** A reserve that must be refused with this reason and metadata, and must write no entry. */
  async expectRefusal(
    usage: UsageOf,
    reason: string,
    values: Readonly<Record<string, string>>,
    figures: Omit<Figures, 'credits'> & { readonly criticality?: Criticality },
    note: string,
  ) {
    const { criticality } = figures;
    const seq = await this.#seq();
    await this.#step(
      `reserve ${formatUsage(usage)}`,
      { ...figures, credits: 0n },
      note,
      async () => {
        const failure = await this.#scrip.billing
          .reserve({
            ...this.#newRequest(),
            usages: { items: [usage] },
            ...(criticality && { criticality }),
          })
          .then(() => null, toScripError);
        this.check('reason', failure?.reason ?? 'none', reason);
        for (const [name, value] of Object.entries(values))
          this.check(name, failure?.metadata[name], value);
        return 0n;
      },
    );
    this.check('newest entry', await this.#seq(), seq);
  }

  /** Commits everything that a reservation holds. */
  async commit(reservationId: string, figures: Figures, note: string): Promise<void> {
    await this.#step('commit', figures, note, async () => {
      const { committed } = await this.#scrip.billing.commit({
        ...this.#newRequest(),
        reservationId,
        all: true,
      });
      return committed;
    });
  }

  async release(reservationId: string, figures: Figures, note: string): Promise<void> {
    await this.#step('release', figures, note, async () => {
      const { released } = await this.#scrip.billing.release({
        ...this.#newRequest(),
        reservationId,
      });
      return released;
    });
  }

  /** Charges a usage. `from` lists the credits that each grant must give, in burn order. */
  async charge(
    usage: UsageOf,
    figures: Figures & { readonly from?: readonly (readonly [Grant | 'overage', bigint])[] },
    note: string,
  ) {
    await this.#step(`charge ${formatUsage(usage)}`, figures, note, async () => {
      const charged = await this.#scrip.billing.charge({
        ...this.#newRequest(),
        usages: { items: [usage] },
      });
      const from = figures.from?.map(([source, credits]) =>
        source === 'overage' ? `${credits} of overage` : `${credits} of grant ${source.grantId}`,
      );
      if (from)
        this.check('split', charged.split.map(formatAllocation).join(', '), from.join(', '));
      return charged.credits;
    });
  }

  /** Buys a pack for the expected price and returns its grant. */
  async buy(packId: string, price: string, figures: Figures, note: string): Promise<Grant> {
    let granted: Grant | undefined;
    await this.#step(`purchase ${packId}`, figures, note, async () => {
      const { purchase, grant } = await this.#scrip.billing.purchase({
        ...this.#newRequest(),
        packId,
        payment: { $case: 'paymentReference', value: `order-${randomUUID()}` },
      });
      this.check('price', formatPrice(purchase?.price), price);
      granted = grant;
      return grant?.amount;
    });
    return this.#requireGrant(granted);
  }

  /** Grants credits that were paid for elsewhere. */
  async grantPaid(
    credits: bigint,
    expiresAt: Date,
    figures: Figures,
    note: string,
  ): Promise<Grant> {
    let granted: Grant | undefined;
    await this.#step('grant credits', figures, note, async () => {
      const { grant } = await this.#scrip.accounts.grantCredits({
        ...this.#newRequest(),
        credits,
        category: Grant_Category.PAID,
        expiresAt,
        reason: 'carried over from the system before',
      });
      granted = grant;
      return grant?.amount;
    });
    return this.#requireGrant(granted);
  }

  /** The statement of the current month, as it would be closed now. */
  async statement(
    figures: Omit<Figures, 'credits'> & { readonly overage: bigint; readonly total: string },
    note: string,
  ) {
    const { accountId } = this;
    await this.#step('statement', { ...figures, credits: figures.overage }, note, async () => {
      const { account } = await this.#scrip.accounts.getAccount({ accountId });
      const month = account?.openedAt?.toISOString().slice(0, 7) ?? '';
      const { statement } = await this.#scrip.statements.getStatement({ accountId, month });
      this.check('total', formatPrice(statement?.total), figures.total);
      return statement?.overage;
    });
  }

  /** Sets the pause floor: sheddable work is refused while less than this is available. */
  async pauseBelow(floor: bigint, figures: Omit<Figures, 'credits'>, note: string) {
    await this.#step('update account', { ...figures, credits: 0n }, note, async () => {
      const { account } = await this.#scrip.accounts.updateAccount({
        ...this.#newRequest(),
        pauseFloor: { credits: floor },
      });
      this.check('pause floor', account?.pauseFloor, floor);
      return 0n;
    });
  }

  /** Reads the newest event of a type, which must have these values. */
  async expectEvent(
    type: string,
    values: Readonly<Record<string, string>>,
    figures: Omit<Figures, 'credits'>,
    note: string,
  ) {
    await this.#step(`event ${type}`, { ...figures, credits: 0n }, note, async () => {
      const stream = this.#scrip.events.streamEvents(
        { accountId: this.accountId, types: [type], follow: true },
        { deadline: Date.now() + EVENT_TIMEOUT_MS },
      );
      for await (const { events } of stream) {
        const event = events.at(-1);
        if (!event) continue;
        for (const [name, value] of Object.entries(values))
          this.check(name, event.data.get(name), value);
        break;
      }
      return 0n;
    });
  }

  /** The grants that have credits left, in burn order. */
  async grants(): Promise<readonly Grant[]> {
    const { accountId } = this;
    const { grants } = await this.#scrip.billing.getBalance({ accountId, includeGrants: true });
    return grants;
  }

  /** Throws if the value is not the expected one. */
  check(name: string, actual: unknown, expected: unknown) {
    if (actual === expected) return;
    const step = this.lines.length + 1;
    throw new WrongFigure(
      `${this.#planId}, step ${step}: ${name} is ${actual}, must be ${expected}`,
    );
  }

  /** Runs a step, checks its figures and the balance after it, and adds its line. */
  async #step(
    operation: string,
    figures: Figures,
    note: string,
    act: () => Promise<bigint | undefined>,
  ) {
    const credits = await act();
    this.check('credits', credits, figures.credits);
    const { balance } = await this.#scrip.billing.getBalance({ accountId: this.accountId });
    this.check('available', balance?.available, figures.available);
    this.check('reserved', balance?.reserved, figures.reserved ?? 0n);
    if (figures.lowBalance !== undefined)
      this.check('low_balance', balance?.lowBalance, figures.lowBalance);
    this.lines.push({ operation, credits: figures.credits, available: figures.available, note });
  }

  async #seq(): Promise<bigint | undefined> {
    return (await this.#scrip.billing.getBalance({ accountId: this.accountId })).balance?.seq;
  }

  #requireGrant(grant: Grant | undefined): Grant {
    if (grant) return grant;
    throw new WrongFigure(`${this.#planId}, step ${this.lines.length}: there is no grant`);
  }

  #newRequest() {
    return { accountId: this.accountId, requestId: randomUUID() };
  }
}

function toScripError(error: unknown): ScripError {
  if (error instanceof ScripError && error.reason !== '') return error;
  throw error;
}
