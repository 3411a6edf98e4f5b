/** BillingService: its RPCs, each with the function that serves it. */
import type { BillingServiceServer } from '../../gen/billing/v1/billing_service.ts';
import { handlersOf } from '../call/handlers.ts';
import type { SharedContext } from '../service-context.ts';
import { getBalance } from './balance.ts';
import { batch } from './batch.ts';
import { charge, refund } from './charges.ts';
import { listEntries } from './entries.ts';
import { estimate } from './estimate.ts';
import { estimatePurchase } from './estimate-purchase.ts';
import { streamHistory } from './history.ts';
import { getPastBalance } from './past-balance.ts';
import { getPurchase, listPurchases, purchase } from './purchases.ts';
import {
  commit,
  extendReservation,
  getReservation,
  listReservations,
  raiseReservation,
  release,
  reserve,
} from './reservations.ts';

export function billingService(context: SharedContext): BillingServiceServer {
  const { mutation, submitting, unary, serverStream } = handlersOf(
    context,
    'billing.v1.BillingService',
  );
  return {
    estimate: unary('Estimate', estimate),
    reserve: mutation('Reserve', reserve),
    commit: mutation('Commit', commit),
    release: mutation('Release', release),
    charge: mutation('Charge', charge),
    extendReservation: mutation('ExtendReservation', extendReservation),
    raiseReservation: mutation('RaiseReservation', raiseReservation),
    getReservation: unary('GetReservation', getReservation),
    listReservations: unary('ListReservations', listReservations),
    refund: mutation('Refund', refund),
    purchase: submitting('Purchase', purchase),
    estimatePurchase: unary('EstimatePurchase', estimatePurchase),
    getPurchase: unary('GetPurchase', getPurchase),
    listPurchases: unary('ListPurchases', listPurchases),
    getBalance: unary('GetBalance', getBalance),
    getPastBalance: unary('GetPastBalance', getPastBalance),
    listEntries: unary('ListEntries', listEntries),
    streamHistory: serverStream('StreamHistory', streamHistory),
    batch: submitting('Batch', batch),
  };
}
