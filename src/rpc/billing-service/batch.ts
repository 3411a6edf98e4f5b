/** Batch: many mutations in one call, each with its own result. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Failure } from '../../failure.ts';
import {
  type BatchRequest,
  type Mutation,
  MutationError,
} from '../../gen/billing/v1/billing_service.ts';
import type { StoredResponse } from '../../lanes/task.ts';
import { accountMutations } from '../account-service/accounts.ts';
import { Check } from '../call/field-checker.ts';
import type { Prepare, Prepared } from '../call/mutation.ts';
import { codeOf } from '../call/status.ts';
import { billingMutations } from './reservations.ts';

/** By their names in Batch, which are those of the methods. */
const MUTATIONS = { ...billingMutations, ...accountMutations };
const MUTATIONS_MAX = 1_000;

/** Field numbers of MutationResult, by the case of its oneof. */
const RESULT_FIELDS = {
  error: 1,
  reserve: 2,
  commit: 3,
  release: 4,
  charge: 5,
  extendReservation: 6,
  refund: 7,
  purchase: 8,
  grantCredits: 9,
  openAccount: 10,
  updateAccount: 11,
  closeAccount: 12,
  moveAccount: 14,
  raiseReservation: 15,
} as const;
const REPLAYED_FIELD = 13;
const RESULTS_FIELD = 1;

type Case = NonNullable<Mutation['mutation']>['$case'];

/** Submits every mutation, in the order sent, and answers the encoded BatchResponse. */
export async function batch(
  request: BatchRequest,
  submit: (prepared: Prepared) => Promise<StoredResponse | Failure>,
): Promise<Uint8Array | Failure> {
  const check = new Check();
  const count = request.mutations.length;
  if (count < 1 || count > MUTATIONS_MAX)
    check.refuse('mutations', `must be 1 to ${MUTATIONS_MAX} mutations`);
  const failure = check.failure();
  if (failure) return failure;
  const answers = await Promise.all(
    request.mutations.map(async ({ mutation }) => {
      if (!mutation)
        return new Failure('INVALID_FIELD', 'mutation is required', { field: 'mutation' });
      if (mutation.$case === 'purchase' && mutation.value.payment?.$case === 'checkout')
        return new Failure('INVALID_FIELD', 'checkout is not taken in a batch: call Purchase', {
          field: 'checkout',
        });
      const prepare = MUTATIONS[mutation.$case] as Prepare<unknown>;
      const prepared = prepare(mutation.value);
      return prepared instanceof Failure ? prepared : await submit(prepared);
    }),
  );
  return encode(request, answers);
}

/**
 * The responses are put into the message as the bytes they are stored as: a batch of 1,000 encodes
 * none of them twice.
 */
function encode(request: BatchRequest, answers: readonly (StoredResponse | Failure)[]): Uint8Array {
  const writer = new BinaryWriter();
  answers.forEach((answer, index) => {
    writer.uint32((RESULTS_FIELD << 3) | 2).fork();
    if (answer instanceof Failure) {
      const { reason, message, metadata } = answer;
      const error = { code: codeOf(reason), message, reason, metadata: { ...metadata } };
      writer.uint32((RESULT_FIELDS.error << 3) | 2).bytes(MutationError.encode(error).finish());
    } else {
      const field = RESULT_FIELDS[request.mutations[index]?.mutation?.$case as Case];
      writer.uint32((field << 3) | 2).bytes(answer.response);
      if (answer.replayed) writer.uint32(REPLAYED_FIELD << 3).bool(true);
    }
    writer.join();
  });
  return writer.finish();
}
