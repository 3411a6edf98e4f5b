/** GetBalance. */
import type {
  GetBalanceRequest,
  GetBalanceResponse,
} from '../../gen/billing/v1/billing_service.ts';
import { timeZoneOf } from '../../ledger/periods/account-zone.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { loadBook } from '../call/load-account.ts';
import { fullBalanceMessage } from '../messages/balance.ts';
import { grantMessage } from '../messages/grant.ts';
import type { ServiceContext } from '../service-context.ts';

export async function getBalance(
  context: ServiceContext,
  request: GetBalanceRequest,
): Promise<GetBalanceResponse> {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  check.throwIfInvalid();
  const { includeGrants: allGrants } = request;
  const book = await loadBook(context, accountId, { allGrants });
  const grants = allGrants ? book.grants.filter((grant) => grant.remaining > 0n) : [];
  return {
    balance: fullBalanceMessage(book),
    grants: grants.map((grant) => grantMessage(grant, book.now)),
    timeZone: timeZoneOf(book.account),
  };
}
