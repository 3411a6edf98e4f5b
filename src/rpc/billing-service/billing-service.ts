/** BillingService: prices, reservations, charges, packs, balances and history. */
import { Failure } from '../../failure.ts';
import type { BillingServiceServer } from '../../gen/billing/v1/billing_service.ts';
import { Reservation, Reservation_State } from '../../gen/billing/v1/ledger.ts';
import { balanceOf } from '../../ledger/balance.ts';
import type { Book } from '../../ledger/book.ts';
import {
  accountNotFound,
  rateCardVersionUnknown,
  reservationNotFound,
} from '../../ledger/failures.ts';
import type { ReservationState } from '../../ledger/reservation.ts';
import { asOf, listReservations } from '../../queries/lists.ts';
import { loadReservations } from '../../store/load.ts';
import { listCustomPacks } from '../../store/purchases.ts';
import { Check, UUID } from '../call/field-checker.ts';
import { serverStream, unary } from '../call/handler.ts';
import { cutPage, keyOfPageToken, pageToken } from '../call/pages.ts';
import { balanceMessage, grantMessage, reservationMessage } from '../messages/ledger.ts';
import { mutationHandler, type ServiceContext, submit } from '../service-context.ts';
import { batch } from './batch.ts';
import { estimate } from './estimate.ts';
import { streamHistory } from './history.ts';
import { getPurchaseHandler, listPurchasesHandler, purchaseHandler } from './purchases.ts';
import { billingMutations } from './reservations.ts';

const service = 'billing.v1.BillingService';

const STATES = new Map<Reservation_State, ReservationState>([
  [Reservation_State.ACTIVE, 'ACTIVE'],
  [Reservation_State.COMMITTED, 'COMMITTED'],
  [Reservation_State.RELEASED, 'RELEASED'],
  [Reservation_State.EXPIRED, 'EXPIRED'],
]);

export function billingService(context: ServiceContext): BillingServiceServer {
  return {
    reserve: mutationHandler(context, `${service}/Reserve`, billingMutations.reserve),
    commit: mutationHandler(context, `${service}/Commit`, billingMutations.commit),
    release: mutationHandler(context, `${service}/Release`, billingMutations.release),
    charge: mutationHandler(context, `${service}/Charge`, billingMutations.charge),
    extendReservation: mutationHandler(
      context,
      `${service}/ExtendReservation`,
      billingMutations.extendReservation,
    ),
    raiseReservation: mutationHandler(
      context,
      `${service}/RaiseReservation`,
      billingMutations.raiseReservation,
    ),
    refund: mutationHandler(context, `${service}/Refund`, billingMutations.refund),
    purchase: purchaseHandler(context, `${service}/Purchase`),
    getPurchase: getPurchaseHandler(context, `${service}/GetPurchase`),
    listPurchases: listPurchasesHandler(context, `${service}/ListPurchases`),

    batch: unary(context, `${service}/Batch`, async (request, caller, call) => {
      const response = await batch(request, (prepared) =>
        submit(context, prepared, caller, () => call.cancelled),
      );
      return response instanceof Failure ? response : { response };
    }),

    estimate: unary(context, `${service}/Estimate`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      const usages = check.usages(request.usages, 1);
      const version = check.rateCardVersion(request.rateCardVersion);
      check.pass();
      const book = await bookOf(context, accountId);
      if (version !== null) await knowVersion(context, book, version);
      const onVersion = version ?? book.plan.rateCard.version;
      const response = estimate(book, usages, onVersion, []);
      if (response instanceof Failure || response.sufficient) return failureOr(response);
      // Packs of its own are read only where they can be offered.
      const custom = await listCustomPacks(context.em(), accountId);
      return failureOr(estimate(book, usages, onVersion, custom));
    }),

    getBalance: unary(context, `${service}/GetBalance`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      check.pass();
      const { account, grants, plan, now } = await bookOf(context, accountId);
      const balance = balanceMessage(balanceOf(account, grants, plan.terms, now));
      const shown = request.includeGrants ? grants.filter((grant) => grant.remaining > 0n) : [];
      return { response: { balance, grants: shown.map((grant) => grantMessage(grant, now)) } };
    }),

    getReservation: unary(context, `${service}/GetReservation`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      const reservationId = check.reservationId(request.reservationId);
      check.pass();
      const [found] = await loadReservations(context.em(), [{ accountId, key: reservationId }]);
      if (!found) {
        await bookOf(context, accountId);
        return reservationNotFound(accountId, reservationId);
      }
      return { response: { reservation: reservationMessage(asOf(found, context.clock())) } };
    }),

    listReservations: unary(context, `${service}/ListReservations`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      const limit = check.pageSize(request.pageSize);
      const states = request.states.flatMap((state) => STATES.get(state) ?? []);
      if (states.length < request.states.length) check.refuse('states', 'must be known states');
      check.pass();
      const list = ['reservations', accountId, ...states];
      const before = keyOfPageToken(list, request.pageToken, UUID);
      await bookOf(context, accountId);
      const found = await listReservations(
        context.em(),
        accountId,
        states,
        context.clock(),
        before,
        limit + 1,
      );
      const { messages, nextPageToken } = cutPage(
        found,
        limit,
        Reservation,
        reservationMessage,
        ({ reservationId }) => pageToken(list, reservationId),
      );
      return { response: { reservations: messages, nextPageToken } };
    }),

    streamHistory: serverStream(context, `${service}/StreamHistory`, (request, write, signal) =>
      streamHistory(context, request, write, signal),
    ),
  };
}

const failureOr = <Response>(response: Response | Failure) =>
  response instanceof Failure ? response : { response };

async function bookOf(context: ServiceContext, accountId: string): Promise<Book> {
  const book = await context.snapshots.read(accountId);
  if (!book) throw accountNotFound(accountId);
  return book;
}

/** Brings a rate card version that is not in force into memory, for `estimate` to price on. */
async function knowVersion({ catalogue }: ServiceContext, { plan, plans }: Book, version: number) {
  const published = plans.get(plan.planId);
  const rateCard = published && (await catalogue.rateCard(published, version));
  if (!rateCard) throw rateCardVersionUnknown(plan.planId, version);
}
