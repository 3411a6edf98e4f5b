/**
 * What the worker that charges top-ups hands to the lanes. The service asks by itself, so there are no
 * request ids: the rules pass over what was done already.
 */

import type { Request } from '../lanes/work.ts';
import type { Outcome } from '../ledger/decide.ts';
import type { Origin } from '../ledger/entry.ts';
import type { EndTopUp, StartTopUp } from '../ledger/rules/top-up.ts';
import { SERVICE } from '../ledger/settle.ts';

type Trace = Pick<Origin, 'traceId' | 'spanId'>;

/** Answered with the id of the purchase to charge: see `purchaseToCharge`. */
export const startTopUpWork = (accountId: string, trace: Trace): Request =>
  workOf(accountId, { kind: 'StartTopUp' }, trace, (outcome) =>
    outcome.kind === 'StartTopUp' ? (outcome.purchaseId ?? '') : '',
  );

/** The purchase that a StartTopUp was answered with; null where there is nothing to charge. */
export const purchaseToCharge = (response: Uint8Array): string | null =>
  Buffer.from(response).toString('utf8') || null;

/** Ends a top-up whose payment the provider keeps open; `code` is the provider's. */
export const endTopUpWork = (
  accountId: string,
  purchaseId: string,
  code: string,
  trace: Trace,
): Request => workOf(accountId, { kind: 'EndTopUp', purchaseId, code }, trace, () => '');

function workOf(
  accountId: string,
  command: StartTopUp | EndTopUp,
  trace: Trace,
  answer: (outcome: Outcome) => string,
): Request {
  return {
    accountId,
    command,
    origin: { caller: SERVICE, requestId: '', ...trace },
    fingerprint: new Uint8Array(),
    respond: (outcome) => Buffer.from(answer(outcome), 'utf8'),
    isAbandoned: () => false,
  };
}
