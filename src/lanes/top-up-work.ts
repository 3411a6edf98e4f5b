/**
 * What the worker that charges top-ups hands to the lanes. Each submission has a request id of its own:
 * the rules themselves answer a repeated one with what is under way.
 */
import { hash } from 'node:crypto';
import { v4 as uuidv4 } from 'uuid';
import type { Outcome } from '../ledger/decide.ts';
import type { Origin } from '../ledger/entry.ts';
import type { EndTopUp, StartTopUp } from '../ledger/rules/top-up.ts';
import { SERVICE } from '../ledger/settle.ts';
import type { Request } from './work.ts';

type Trace = Pick<Origin, 'traceId' | 'spanId'>;

/** Answered with the id of the purchase to charge: see `purchaseToCharge`. */
export const startTopUpWork = (accountId: string, trace: Trace): Request =>
  workOf(accountId, { kind: 'StartTopUp' }, trace, (outcome) =>
    outcome.kind === 'StartTopUp' ? (outcome.purchaseId ?? '') : '',
  );

/** The purchase that a StartTopUp was answered with; null where there is nothing to charge. */
export const purchaseToCharge = (response: Uint8Array): string | null =>
  Buffer.from(response).toString('utf8') || null;

export const endTopUpWork = (
  accountId: string,
  end: Omit<EndTopUp, 'kind'>,
  trace: Trace,
): Request => workOf(accountId, { kind: 'EndTopUp', ...end }, trace, () => '');

function workOf(
  accountId: string,
  command: StartTopUp | EndTopUp,
  trace: Trace,
  answer: (outcome: Outcome) => string,
): Request {
  return {
    accountId,
    command,
    origin: { caller: SERVICE, requestId: uuidv4(), ...trace },
    fingerprint: hash('sha256', JSON.stringify(command), 'buffer'),
    respond: (outcome) => Buffer.from(answer(outcome), 'utf8'),
    isAbandoned: () => false,
  };
}
