/** StatementService: what accounts used in a month, and what of it is owed. */
import { Statement, type StatementServiceServer } from '../../gen/billing/v1/statement_service.ts';
import { monthOf } from '../../ledger/account.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import { readStatement } from '../../queries/read-statement.ts';
import { loadAccounts } from '../../store/load.ts';
import { listStatements, loadStatement } from '../../store/statements.ts';
import { Check } from '../call/field-checker.ts';
import { serverStream, unary } from '../call/handler.ts';
import { cutPage, keyOfPageToken, pageToken } from '../call/pages.ts';
import { statementMessage } from '../messages/statement.ts';
import type { ServiceContext } from '../service-context.ts';
import { exportStatements } from './export.ts';
import { checkMonth, checkMonthOf } from './month.ts';

const service = 'billing.v1.StatementService';
const MONTH = /^\d{4}-\d{2}$/;

export function statementService(context: ServiceContext): StatementServiceServer {
  const { em, catalogue, snapshots, statements } = context;
  return {
    getStatement: unary(context, `${service}/GetStatement`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      const month = checkMonth(check, 'month', request.month);
      check.pass();
      // A month that has ended is closed first: nobody ever sees its statement change.
      await statements.close(accountId);
      const closed = await loadStatement(em(), accountId, month);
      if (closed) return { response: { statement: statementMessage(closed) } };
      const book = await snapshots.read(accountId);
      if (!book) return accountNotFound(accountId);
      checkMonthOf(check, month, book.account, book.now);
      check.pass();
      const statement = await readStatement(em(), catalogue, book.account, monthOf(month));
      return { response: { statement: statementMessage(statement) } };
    }),

    listStatements: unary(context, `${service}/ListStatements`, async (request) => {
      const check = new Check();
      const accountId = check.accountId(request.accountId);
      const limit = check.pageSize(request.pageSize);
      check.pass();
      const list = ['statements', accountId];
      const before = keyOfPageToken(list, request.pageToken, MONTH);
      const [account] = await loadAccounts(em(), [accountId]);
      if (!account) return accountNotFound(accountId);
      await statements.close(accountId);
      const found = await listStatements(em(), accountId, before, limit + 1);
      const { messages, nextPageToken } = cutPage(
        found,
        limit,
        Statement,
        statementMessage,
        ({ month }) => pageToken(list, month),
      );
      return { response: { statements: messages, nextPageToken } };
    }),

    exportStatements: serverStream(
      context,
      `${service}/ExportStatements`,
      (request, write, signal) => exportStatements(context, request, write, signal),
    ),
  };
}
