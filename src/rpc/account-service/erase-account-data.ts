/** EraseAccountData: erases the personal data of a closed account. */
import { Failure } from '../../failure.ts';
import {
  EraseAccountDataRequest,
  EraseAccountDataResponse,
} from '../../gen/billing/v1/account_service.ts';
import { eraseAccountData as erase } from '../../lanes/erase-account-data.ts';
import type { Answered, UnaryCall } from '../call/handlers.ts';
import { defineMutation, submit } from '../call/mutation.ts';
import { toAnswered } from '../call/replay.ts';
import { accountMessage } from '../messages/account.ts';
import type { ServiceContext } from '../service-context.ts';

const eraseMutation = defineMutation(
  'EraseAccountData',
  EraseAccountDataRequest,
  EraseAccountDataResponse,
  (request, check) => ({ kind: 'EraseAccountData', reason: check.reason(request.reason) }),
  ({ entrySeq }, { account, plan }) => ({
    account: accountMessage(account, plan.terms),
    entrySeq,
  }),
);

/**
 * The entry is durable before anything is erased. A repetition of the request finds it, and erases what a crash has
 * left.
 */
export async function eraseAccountData(
  context: ServiceContext,
  request: EraseAccountDataRequest,
  call: UnaryCall,
): Promise<Answered<EraseAccountDataResponse> | Failure> {
  const prepared = eraseMutation(request);
  if (prepared instanceof Failure) return prepared;
  const answer = await submit(context, prepared, call);
  if (answer instanceof Failure) return answer;
  const { entrySeq } = EraseAccountDataResponse.decode(answer.response);
  await erase(context.em, prepared.accountId, entrySeq);
  // The rollups of labels go as their entry is counted.
  await context.usage.finish(prepared.accountId);
  return toAnswered(answer);
}
