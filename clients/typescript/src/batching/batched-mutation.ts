/** Which calls a Batch can carry, and a mutation on its way into one. */
import type { AttemptOptions } from '../attempt.ts';
import type { Mutation, MutationResult } from '../gen/billing/v1/billing_service.ts';

type Content = NonNullable<Mutation['mutation']>;
type Case = Content['$case'];

/** The response to a mutation. */
export type BatchedResponse = Exclude<
  NonNullable<MutationResult['result']>,
  { $case: 'error' }
>['value'];

/** One attempt to make a mutation. Whether it is repeated is the caller's decision. */
export type BatchedMutation = {
  readonly content: Content;
  readonly options: AttemptOptions;
  /** Sends it in a call of its own. */
  readonly sendAlone: () => Promise<BatchedResponse>;
};

const CASES: Readonly<Record<Case, true>> = {
  reserve: true,
  commit: true,
  release: true,
  charge: true,
  extendReservation: true,
  refund: true,
  purchase: true,
  grantCredits: true,
  openAccount: true,
  updateAccount: true,
  closeAccount: true,
  moveAccount: true,
  raiseReservation: true,
  voidGrant: true,
  updateGrant: true,
  suspendAccount: true,
  resumeAccount: true,
  setBudget: true,
  removeBudget: true,
  importAccount: true,
};

/** The request as a Batch carries it, by the name of its method, such as "Charge"; null if none can. */
export function contentOf(method: string, request: unknown): Content | null {
  const $case = `${method.charAt(0).toLowerCase()}${method.slice(1)}`;
  if (!Object.hasOwn(CASES, $case)) return null;
  const content = { $case, value: request } as Content;
  // It waits for the payment provider, and others would wait with it.
  const isCheckout = content.$case === 'purchase' && content.value.payment?.$case === 'checkout';
  return isCheckout ? null : content;
}
