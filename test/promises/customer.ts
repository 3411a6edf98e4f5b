/** A customer of one of the three systems, who is billed through gRPC by its product service. */
import { expect } from 'vitest';
import type { Entry, Purchase, Reservation } from '../../src/gen/billing/v1/ledger.ts';
import type { Statement } from '../../src/gen/billing/v1/statement_service.ts';
import { balanceOf, defined, entriesOf } from '../accounts.ts';
import { requestId, type TestService } from '../service.ts';

export type Usage = {
  readonly operation: string;
  readonly quantities?: Map<string, bigint>;
  readonly attributes?: Map<string, string>;
  readonly count?: bigint;
};

export const usd = (amount: string) => ({ currency: 'USD', amount });

/** Noon of a day in UTC. The clock of a test runs on, and must not reach the next day. */
export const noon = (year: number, month: number, day: number) =>
  Date.UTC(year, month - 1, day, 12);

export class Customer {
  readonly accountId: string;
  readonly #scrip: TestService;

  private constructor(scrip: TestService, accountId: string) {
    this.#scrip = scrip;
    this.accountId = accountId;
  }

  static async open(scrip: TestService, planId: string): Promise<Customer> {
    return new Customer(scrip, await scrip.open(planId));
  }

  /** The fields of every mutation: the account, and a new request id. */
  mutation() {
    return { accountId: this.accountId, requestId: requestId() };
  }

  balance() {
    return balanceOf(this.#scrip, this.accountId);
  }

  async remaining(): Promise<bigint> {
    return (await this.balance()).remaining;
  }

  async grants() {
    const { accountId } = this;
    return (await this.#scrip.billing.getBalance({ accountId, includeGrants: true })).grants;
  }

  estimate(...usages: Usage[]) {
    return this.#scrip.billing.estimate({ accountId: this.accountId, usages: { items: usages } });
  }

  charge(...usages: Usage[]) {
    return this.#scrip.billing.charge({ ...this.mutation(), usages: { items: usages } });
  }

  async reserve(...usages: Usage[]): Promise<Reservation> {
    return defined(
      (await this.#scrip.billing.reserve({ ...this.mutation(), usages: { items: usages } }))
        .reservation,
    );
  }

  commit({ reservationId }: Reservation) {
    return this.#scrip.billing.commit({ ...this.mutation(), reservationId, all: true });
  }

  release({ reservationId }: Reservation) {
    return this.#scrip.billing.release({ ...this.mutation(), reservationId });
  }

  /** Buys a pack that is paid elsewhere, by the number of an order. */
  buy(packId: string, order = requestId()) {
    const payment = { $case: 'paymentReference' as const, value: order };
    return this.#scrip.billing.purchase({ ...this.mutation(), packId, payment });
  }

  async purchases(): Promise<Purchase[]> {
    const { accountId } = this;
    return (await this.#scrip.billing.listPurchases({ accountId })).purchases;
  }

  history(): Promise<Entry[]> {
    return entriesOf(this.#scrip, this.accountId);
  }

  async statement(month: string): Promise<Statement> {
    const { accountId } = this;
    return defined((await this.#scrip.statements.getStatement({ accountId, month })).statement);
  }

  /** Closed statements, newest first. */
  async statements(): Promise<Statement[]> {
    const { accountId } = this;
    return (await this.#scrip.statements.listStatements({ accountId })).statements;
  }

  /** Charges usages and returns their price: the same in the estimate, the charge and the balance. */
  async costOf(...usages: Usage[]): Promise<bigint> {
    const before = await this.remaining();
    const { credits: estimated } = await this.estimate(...usages);
    const { credits } = await this.charge(...usages);
    expect([estimated, before - (await this.remaining())]).toEqual([credits, credits]);
    return credits;
  }
}
