/** Mutations of one account that take effect together: an atomic Batch, which is never merged with other calls. */
import type { Attempt } from './attempt.ts';
import type { Call } from './call.ts';
import type { CallOptions } from './call-options.ts';
import { complete } from './complete.ts';
import { toScripError } from './errors.ts';
import {
  BatchRequest,
  type BatchResponse,
  BillingServiceDefinition,
  type Mutation,
  type MutationResult,
} from './gen/billing/v1/billing_service.ts';
import type { DeepPartial, Route } from './method.ts';
import type { ScripError } from './scrip-error.ts';

type Content = NonNullable<Mutation['mutation']>;
type Result = Exclude<NonNullable<MutationResult['result']>, { $case: 'error' }>;
type Requests = {
  readonly [One in Content as One['$case']]: Omit<DeepPartial<One['value']>, 'accountId'>;
};
type Responses = { readonly [One in Result as One['$case']]: One['value'] };

/** One mutation: its method, and its request without the account, such as `{ charge: { credits: 5 } }`. */
export type AtomicMutation = {
  [Case in keyof Requests]: { readonly [Only in Case]: Requests[Case] };
}[keyof Requests];

/** The responses to mutations, in their order. */
export type AtomicResponses<Mutations extends readonly AtomicMutation[]> = {
  readonly [Index in keyof Mutations]: Responses[keyof Mutations[Index] & keyof Responses];
};

export type Atomic = <const Mutations extends readonly AtomicMutation[]>(
  accountId: string,
  mutations: Mutations,
  options?: CallOptions,
) => Promise<AtomicResponses<Mutations>>;

const { batch } = BillingServiceDefinition.methods;
const ROUTE: Route<BatchRequest, BatchResponse> = {
  ...batch,
  path: `/${BillingServiceDefinition.fullName}/${batch.name}`,
};

/** `call` makes attempts that `refusing` has made. */
export const atomicBy =
  (call: Call): Atomic =>
  async (accountId, mutations, options = {}) => {
    const contents = mutations.map((mutation, index) => toMutation(accountId, mutation, index));
    const request = complete(BatchRequest, { atomic: true, mutations: contents });
    const { results } = await call(ROUTE, request, options);
    return results.map(({ result }) => result?.value) as never;
  };

function toMutation(accountId: string, mutation: AtomicMutation, index: number) {
  const [one, ...others] = Object.entries(mutation);
  if (!one || others.length > 0) throw new TypeError(`mutations.${index} must be one mutation`);
  const [$case, value] = one;
  const completed = { mutation: { $case, value: { ...value, accountId } } };
  return completed as unknown as DeepPartial<Mutation>;
}

/** An attempt that rejects where an atomic Batch was refused, with the error of the mutation that was. */
export const refusing =
  (attempt: Attempt): Attempt =>
  async (route, request, options) => {
    const response = await attempt(route, request, options);
    const error = refusalOf(request as BatchRequest, response as BatchResponse);
    if (error) throw error;
    return response;
  };

/** Null: all mutations took effect. */
function refusalOf({ mutations }: BatchRequest, { results }: BatchResponse): ScripError | null {
  const index = results.findIndex(isRefusal);
  const refused = results[index]?.result;
  if (refused?.$case !== 'error') return null;
  // Where every mutation has an error of its own, it is not about this one.
  const isItsOwn = results.length === 1 || results.some((result) => !isRefusal(result));
  if (!isItsOwn) return toScripError(refused.value);
  const error = toScripError({ ...refused.value, mutationIndex: index });
  return error.withOutcome(error.outcome, mutations[index]?.mutation?.value.requestId);
}

/** Whether it is an error other than that another mutation was refused. */
const isRefusal = ({ result }: MutationResult): boolean =>
  result?.$case === 'error' && result.value.reason !== 'BATCH_REFUSED';
