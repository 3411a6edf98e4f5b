/** ExportStatements: closed statements as a file, read and sent a bounded stretch at a time. */
import { Failure } from '../../failure.ts';
import {
  type ExportStatementsRequest,
  type ExportStatementsResponse,
  ExportStatementsRequest_Format as Format,
} from '../../gen/billing/v1/statement_service.ts';
import { monthName, monthOf, monthStart } from '../../ledger/account.ts';
import { accountNotFound, planNotFound } from '../../ledger/failures.ts';
import type { Statement } from '../../ledger/statement.ts';
import { loadAccounts } from '../../store/load.ts';
import { listStatementsOfPlan, loadStatements } from '../../store/statements.ts';
import { Check } from '../call/field-checker.ts';
import type { ServiceContext } from '../service-context.ts';
import { CSV, type FileFormat, JSON_LINES } from './file-format.ts';
import { checkMonth } from './month.ts';

/** Statements read at once. */
const PAGE_SIZE = 200;
/** A piece of the file is sent once it has so many bytes. */
const PIECE_BYTES = 256 * 1024;

const FORMATS: Readonly<Partial<Record<Format, FileFormat>>> = {
  [Format.CSV]: CSV,
  [Format.JSON]: JSON_LINES,
};

export async function exportStatements(
  context: ServiceContext,
  request: ExportStatementsRequest,
  write: (response: ExportStatementsResponse) => Promise<void>,
  gone: AbortSignal,
): Promise<void> {
  const { of, from, to, format } = checked(request);
  const stretches =
    of.$case === 'accountId'
      ? ofAccount(context, of.value, from, to)
      : ofPlan(context, of.value, from, to, gone);
  let piece = format.head;
  for await (const statements of stretches) {
    if (gone.aborted) return;
    if (context.stopping.aborted)
      throw new Failure('SHUTTING_DOWN', 'this replica is stopping; the file is not whole');
    for (const statement of statements) {
      piece += format.lines(statement);
      if (piece.length < PIECE_BYTES) continue;
      await write({ content: Buffer.from(piece) });
      piece = '';
    }
  }
  if (piece !== '') await write({ content: Buffer.from(piece) });
}

/** An account has twelve statements a year. */
async function* ofAccount(
  { em, statements }: ServiceContext,
  accountId: string,
  from: string,
  to: string,
): AsyncGenerator<readonly Statement[]> {
  const [account] = await loadAccounts(em(), [accountId]);
  if (!account) throw accountNotFound(accountId);
  await statements.close(accountId);
  const after = monthName(monthStart(monthOf(to), 1));
  yield await loadStatements(em(), accountId, from, after);
}

async function* ofPlan(
  { em, clock, catalogue, statements, stopping }: ServiceContext,
  planId: string,
  from: string,
  to: string,
  gone: AbortSignal,
): AsyncGenerator<readonly Statement[]> {
  if (!(await catalogue.find(planId, clock()))) throw planNotFound(planId);
  // A month that has just ended is exported whole: what the sweeper has left of it is closed first.
  const failure = await statements.closeAll(AbortSignal.any([gone, stopping]));
  if (failure !== null) throw failure;
  let after = { month: from, accountId: '' };
  for (;;) {
    const found = await listStatementsOfPlan(em(), planId, after, to, PAGE_SIZE);
    yield found;
    const last = found.at(-1);
    if (!last || found.length < PAGE_SIZE) return;
    after = { month: last.month, accountId: last.accountId };
  }
}

function checked(request: ExportStatementsRequest) {
  const check = new Check();
  const { of } = request;
  if (!of) check.refuse('of', 'account_id or plan_id is required');
  else if (of.$case === 'accountId') check.accountId(of.value);
  else check.name('plan_id', of.value);
  const from = checkMonth(check, 'from_month', request.fromMonth);
  const to = request.toMonth === '' ? from : checkMonth(check, 'to_month', request.toMonth);
  if (to < from) check.refuse('to_month', 'must not be before from_month');
  const format = FORMATS[request.format];
  if (!format) check.refuse('format', 'must be CSV or JSON');
  check.pass();
  return { of: of as NonNullable<typeof of>, from, to, format: format as FileFormat };
}
