/** Batch: many mutations in one call, each with its own result. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { Failure } from '../../failure.ts';
import {
  type BatchRequest,
  type BatchResponse,
  type Mutation,
  MutationError,
} from '../../gen/billing/v1/billing_service.ts';
import type { StoredResponse } from '../../lanes/task.ts';
import { invalidField } from '../../ledger/failures.ts';
import { mapOf } from '../../map-of.ts';
import type { MethodName } from '../../policy/methods.ts';
import { TimeSlice } from '../../time-slice.ts';
import {
  closeAccount,
  moveAccount,
  openAccount,
  resumeAccount,
  suspendAccount,
  updateAccount,
} from '../account-service/accounts.ts';
import { removeBudget, setBudget } from '../account-service/budgets.ts';
import { grantCredits, updateGrant, voidGrant } from '../account-service/grants.ts';
import { importAccount } from '../account-service/imports.ts';
import type { Access } from '../call/access.ts';
import { failureOf } from '../call/failure-of.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { Answered, UnaryCall } from '../call/handlers.ts';
import { serveInCell } from '../call/in-cell.ts';
import { type PrepareMutation, submit, type Taking } from '../call/mutation.ts';
import { toResponse } from '../call/replay.ts';
import { detailsOf, statusCodeOf } from '../call/status.ts';
import type { ServiceContext } from '../service-context.ts';
import { charge, refund } from './charges.ts';
import { Gathering } from './gathering.ts';
import { closeMonthsLeft, type UnclosedMonths, whyNotLeft } from './months-left.ts';
import { ObservedMutation } from './observed-mutation.ts';
import { purchaseMutation } from './purchases.ts';
import { commit, extendReservation, raiseReservation, release, reserve } from './reservations.ts';

type SetMutation = NonNullable<Mutation['mutation']>;

/** By the case of `Mutation.mutation`: what prepares it, and the field of its result in MutationResult. */
const MUTATIONS: {
  readonly [Case in SetMutation['$case']]: {
    readonly prepare: PrepareMutation<Extract<SetMutation, { $case: Case }>['value']>;
    readonly resultField: number;
  };
} = {
  reserve: { prepare: reserve, resultField: 2 },
  commit: { prepare: commit, resultField: 3 },
  release: { prepare: release, resultField: 4 },
  charge: { prepare: charge, resultField: 5 },
  extendReservation: { prepare: extendReservation, resultField: 6 },
  refund: { prepare: refund, resultField: 7 },
  purchase: { prepare: purchaseMutation, resultField: 8 },
  grantCredits: { prepare: grantCredits, resultField: 9 },
  openAccount: { prepare: openAccount, resultField: 10 },
  updateAccount: { prepare: updateAccount, resultField: 11 },
  closeAccount: { prepare: closeAccount, resultField: 12 },
  moveAccount: { prepare: moveAccount, resultField: 13 },
  raiseReservation: { prepare: raiseReservation, resultField: 14 },
  voidGrant: { prepare: voidGrant, resultField: 15 },
  updateGrant: { prepare: updateGrant, resultField: 16 },
  suspendAccount: { prepare: suspendAccount, resultField: 17 },
  resumeAccount: { prepare: resumeAccount, resultField: 18 },
  setBudget: { prepare: setBudget, resultField: 19 },
  removeBudget: { prepare: removeBudget, resultField: 20 },
  importAccount: { prepare: importAccount, resultField: 21 },
};
/**
 * Mutations of one batch that are with the lanes at the same time: as many as two units of work take. Calls that
 * come meanwhile do not wait for the whole batch, and less of it is in memory.
 */
const IN_FLIGHT_MAX = 256;

/** Mutations of one atomic batch. They are decided in one go, and calls that come meanwhile wait. */
const ATOMIC_MAX = 100;

export async function batch(
  context: ServiceContext,
  { mutations, atomic }: BatchRequest,
  call: UnaryCall,
): Promise<Answered<BatchResponse> | Failure> {
  const check = new FieldChecker();
  // The wire check has limited their number.
  if (mutations.length < 1) check.addViolation('mutations', 'must be 1 to 1000 mutations');
  if (atomic) checkAtomic(mutations, check);
  check.throwIfInvalid();
  const limited = context.authorization.admitBatch(call.access, mutations.length);
  if (limited) return limited;
  const unclosed = await closeMonthsLeft(context, mutations, call);
  const answers = atomic
    ? await serveInCell(context, accountOf(mutations), (cell) =>
        submitTogether(cell, mutations, call, unclosed),
      )
    : await submitAll(mutations, (mutation) => answerOne(context, mutation, call, null, unclosed));
  return { response: encodeResponse(mutations, answers) };
}

function checkAtomic(mutations: readonly Mutation[], check: FieldChecker) {
  if (mutations.length > ATOMIC_MAX)
    check.addViolation('mutations', `must be 1 to ${ATOMIC_MAX} mutations of an atomic batch`);
  const accountIds = mutations.map(({ mutation }) => mutation?.value.accountId);
  const first = accountIds.find((accountId) => accountId !== undefined);
  const other = accountIds.findIndex((accountId) => (accountId ?? first) !== first);
  if (other !== -1)
    check.addViolation(
      `mutations[${other}]`,
      'must name the account of the other mutations of an atomic batch',
    );
}

/** The account of an atomic batch. */
const accountOf = (mutations: readonly Mutation[]): string =>
  mutations.find(({ mutation }) => mutation)?.mutation?.value.accountId ?? '';

/** Answers one mutation, which is recorded as a call of its own. Never rejects. `lanes` null: those of its account's cell. */
async function answerOne(
  context: ServiceContext,
  { mutation, traceparent }: Mutation,
  call: UnaryCall,
  lanes: Taking | null,
  unclosed: UnclosedMonths,
): Promise<Answer> {
  const method = mutation ? methodOf(mutation) : '';
  const observed = new ObservedMutation(context, call.record, method, traceparent);
  const { record } = observed;
  const answer = await answerTo(context, mutation, { ...call, record }, lanes, unclosed).catch(
    (error: unknown) => failureOf(error, context, record),
  );
  observed.end(mutation?.value, answer instanceof Failure ? answer : null);
  return answer;
}

async function answerTo(
  context: ServiceContext,
  mutation: Mutation['mutation'],
  call: UnaryCall,
  lanes: Taking | null,
  unclosed: UnclosedMonths,
): Promise<Answer> {
  const prepared = prepare(context, call.access, mutation);
  if (prepared instanceof Failure) return prepared;
  const notLeft = mutation && whyNotLeft(unclosed, mutation);
  if (notLeft) return notLeft;
  return await serveInCell(context, prepared.accountId, (cell) =>
    submit(cell, prepared, call, lanes ?? cell.lanes),
  );
}

/**
 * Submits the mutations of an atomic batch, one after the other, so that the first is named of those that exceed a limit
 * together.
 */
async function submitTogether(
  context: ServiceContext,
  mutations: readonly Mutation[],
  call: UnaryCall,
  unclosed: UnclosedMonths,
): Promise<readonly Answer[]> {
  const gathering = new Gathering(mutations.length, (requests) =>
    context.lanes.submitTogether(requests),
  );
  const answers: Promise<Answer>[] = [];
  const slice = new TimeSlice();
  for (const [index, mutation] of mutations.entries()) {
    if (slice.isOver) await slice.next();
    const place = gathering.at(index);
    const answer = answerOne(context, mutation, call, place, unclosed);
    void answer.then((ended) => ended instanceof Failure && place.refuse(ended));
    answers.push(answer);
    await place.arrived;
  }
  return await Promise.all(answers);
}

/** The first mutations are submitted at once, however busy the machine is. */
const TOGETHER = 5;

type Answer = StoredResponse | Failure;

/** Submits the mutations one after the other, in their order, and resolves with all answers. `submitOne` never rejects. */
async function submitAll(
  mutations: readonly Mutation[],
  submitOne: (mutation: Mutation) => Promise<Answer>,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const slice = new TimeSlice();
  let inFlight = 0;
  let answered = Promise.withResolvers<void>();
  const take = async (index: number, answer: Promise<Answer>) => {
    answers[index] = await answer;
    inFlight -= 1;
    answered.resolve();
  };
  const wait = async () => {
    await answered.promise;
    answered = Promise.withResolvers();
  };
  for (const [index, mutation] of mutations.entries()) {
    if (index >= TOGETHER && slice.isOver) await slice.next();
    while (inFlight >= IN_FLIGHT_MAX) await wait();
    inFlight += 1;
    void take(index, submitOne(mutation));
  }
  while (inFlight > 0) await wait();
  return answers;
}

const methodOf = ({ $case }: SetMutation): MethodName =>
  `${$case.charAt(0).toUpperCase()}${$case.slice(1)}` as MethodName;

function prepare(
  { authorization }: ServiceContext,
  access: Access,
  mutation: Mutation['mutation'],
) {
  if (!mutation) return invalidField('mutation', 'is required');
  const { value } = mutation;
  const method = methodOf(mutation);
  const denied = authorization.denyAccount(access, method, value.accountId);
  if (denied) return denied;
  const limited = authorization.admitMoving(access, method);
  if (limited) return limited;
  if (mutation.$case === 'purchase' && mutation.value.payment?.$case === 'checkout')
    return invalidField('checkout', 'is not taken in a batch: call Purchase');
  const prepareCase = MUTATIONS[mutation.$case].prepare as PrepareMutation<unknown>;
  return prepareCase(mutation.value);
}

/** Field numbers of BatchResponse and MutationResult. */
const RESULTS_FIELD = 1;
const ERROR_FIELD = 1;

/** Encodes the BatchResponse around responses that are bytes already: as lanes answer and store them. */
function encodeResponse(mutations: readonly Mutation[], answers: readonly Answer[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [index, answer] of answers.entries()) {
    writer.tag(RESULTS_FIELD, WireType.LengthDelimited).fork();
    if (answer instanceof Failure) {
      writer.tag(ERROR_FIELD, WireType.LengthDelimited).bytes(encodeError(answer));
    } else {
      const { resultField } = MUTATIONS[mutations[index]!.mutation!.$case];
      writer.tag(resultField, WireType.LengthDelimited).bytes(toResponse(answer));
    }
    writer.join();
  }
  return writer.finish();
}

function encodeError(failure: Failure): Uint8Array {
  const { reason, message, metadata } = failure;
  return MutationError.encode({
    code: statusCodeOf(reason),
    message,
    reason,
    metadata: mapOf(metadata),
    details: [...detailsOf(failure)],
  }).finish();
}
