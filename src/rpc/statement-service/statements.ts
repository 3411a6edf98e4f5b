/** GetStatement and ListStatements. Both close months that have ended before they read. */
import {
  type GetStatementRequest,
  type GetStatementResponse,
  type ListStatementsRequest,
  type ListStatementsResponse,
  Statement as StatementMessage,
} from '../../gen/billing/v1/statement_service.ts';
import { monthNamed } from '../../ledger/periods/period.ts';
import { computeStatement } from '../../queries/compute-statement.ts';
import { findStatement, findStatements } from '../../queries/statements.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { UnaryCall } from '../call/handlers.ts';
import { loadAccount, loadBook } from '../call/load-account.ts';
import { decodePageToken, encodePageToken, toPage } from '../call/pages.ts';
import { statementMessage } from '../messages/statement.ts';
import type { ServiceContext } from '../service-context.ts';
import { checkMonth, checkMonthOfAccount } from './month.ts';

export async function getStatement(
  context: ServiceContext,
  request: GetStatementRequest,
  { record }: UnaryCall,
): Promise<GetStatementResponse> {
  const { em, archive, catalogue, statementCloser } = context;
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const month = checkMonth(check, 'month', request.month);
  check.throwIfInvalid();
  // Once shown, the statement of a month that has ended must never change.
  await statementCloser.close(accountId, record);
  const closed = await findStatement(em(), accountId, month);
  if (closed) return { statement: statementMessage(closed) };
  const { account, now } = await loadBook(context, accountId);
  checkMonthOfAccount(check, month, account, now);
  check.throwIfInvalid();
  const period = monthNamed(account.timeZones, month);
  const computed = await computeStatement(em(), archive, catalogue, account, period);
  return { statement: statementMessage(computed) };
}

const MONTH_KEY = /^\d{4}-\d{2}$/;

export async function listStatements(
  context: ServiceContext,
  request: ListStatementsRequest,
  { record }: UnaryCall,
): Promise<ListStatementsResponse> {
  const { em, statementCloser } = context;
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const pageSize = check.pageSize(request.pageSize);
  check.throwIfInvalid();
  const list = ['statements', accountId];
  const before = decodePageToken(list, request.pageToken, MONTH_KEY);
  await loadAccount(context, accountId);
  await statementCloser.close(accountId, record);
  const rows = await findStatements(em(), accountId, before, pageSize + 1);
  const { messages, nextPageToken } = toPage(
    rows,
    pageSize,
    StatementMessage,
    statementMessage,
    ({ month }) => encodePageToken(list, month),
  );
  return { statements: messages, nextPageToken };
}
