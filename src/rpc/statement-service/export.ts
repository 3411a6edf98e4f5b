/** ExportStatements: closed statements as a file, read page by page and sent in pieces. */
import { Failure } from '../../failure.ts';
import {
  type ExportStatementsRequest,
  ExportStatementsResponse,
  ExportStatementsRequest_Format as Format,
} from '../../gen/billing/v1/statement_service.ts';
import { formatMonth, monthStart, parseMonth } from '../../ledger/month.ts';
import type { Statement } from '../../ledger/statement.ts';
import type { Permissions } from '../../policy/permissions.ts';
import {
  findStatementsOfMonths,
  findStatementsOfPlan,
  type PlanStatementsFilter,
} from '../../queries/statements.ts';
import type { CallRecord } from '../../telemetry/call-record.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { Write } from '../call/handlers.ts';
import { readInCell, readInCells } from '../call/in-cell.ts';
import { loadAccount } from '../call/load-account.ts';
import { mergeReads } from '../call/merge-reads.ts';
import type { ServiceContext } from '../service-context.ts';
import { CSV, type FileFormat, JSON_LINES } from './export-file.ts';
import { checkMonth } from './month.ts';
import { requirePlan } from './require-plan.ts';

/** Statements per read. */
const PAGE_SIZE = 200;
/** A piece is sent when it has this many characters. */
const PIECE_LENGTH = 256 * 1024;

export async function exportStatements(
  context: ServiceContext,
  request: ExportStatementsRequest,
  write: Write,
  cancelled: AbortSignal,
  permitted: () => Permissions,
  call: CallRecord,
): Promise<void> {
  const { of, from, to, format } = parseRequest(request);
  const pages =
    of.$case === 'accountId'
      ? statementsOfAccount(context, of.value, from, to, call)
      : statementsOfPlan(context, { planId: of.value, toMonth: to }, from, cancelled, permitted);
  let piece = format.header;
  for await (const statements of pages) {
    if (cancelled.aborted) return;
    if (context.stopping.aborted)
      throw new Failure('SHUTTING_DOWN', 'this replica is stopping; the file is not whole');
    for (const statement of statements) {
      piece += format.lines(statement);
      if (piece.length < PIECE_LENGTH) continue;
      await write(encodePiece(piece));
      piece = '';
    }
  }
  if (piece !== '') await write(encodePiece(piece));
}

const encodePiece = (piece: string): Uint8Array =>
  ExportStatementsResponse.encode({ content: Buffer.from(piece) }).finish();

/** One page: an account has twelve statements a year. */
async function* statementsOfAccount(
  context: ServiceContext,
  accountId: string,
  from: string,
  to: string,
  call: CallRecord,
): AsyncGenerator<readonly Statement[]> {
  await loadAccount(context, accountId);
  await context.statementCloser.close(accountId, call);
  const beforeMonth = formatMonth(monthStart(parseMonth(to), 1));
  yield await findStatementsOfMonths(context.em(), accountId, from, beforeMonth);
}

async function* statementsOfPlan(
  context: ServiceContext,
  { planId, toMonth }: Omit<PlanStatementsFilter, 'scope'>,
  from: string,
  cancelled: AbortSignal,
  permitted: () => Permissions,
): AsyncGenerator<readonly Statement[]> {
  const { cells, clock, stopping } = context;
  const { changing } = cells;
  await requirePlan(context, planId, clock.now());
  // The export of a month that has just ended is complete: statements not yet swept are closed first.
  const ended = AbortSignal.any([cancelled, stopping]);
  const failures = await readInCells(context, '', (cell) => cell.statementCloser.closeAll(ended));
  for (const failure of failures) if (failure !== null) throw failure;
  yield* mergeReads(
    cells.all().map((cell) => async (last: Statement | null) => {
      const after = { month: last?.month ?? from, accountId: last?.accountId ?? '' };
      const filter = { planId, toMonth, scope: permitted().accounts };
      const page = await readInCell(cell, ({ em }) =>
        findStatementsOfPlan(em(), filter, after, PAGE_SIZE),
      );
      // An account that moves may have been ahead in one cell, and be behind in the other.
      cells.assertUnchanged(changing);
      return page;
    }),
    PAGE_SIZE,
    (one, other) => (isBefore(one, other) ? -1 : 1),
  );
}

const isBefore = (one: Statement, other: Statement): boolean =>
  one.month === other.month ? one.accountId < other.accountId : one.month < other.month;

const FORMATS: Readonly<Partial<Record<Format, FileFormat>>> = {
  [Format.CSV]: CSV,
  [Format.JSON]: JSON_LINES,
};

function parseRequest(request: ExportStatementsRequest) {
  const check = new FieldChecker();
  const { of } = request;
  if (!of) check.addViolation('of', 'account_id or plan_id is required');
  else if (of.$case === 'accountId') check.accountId(of.value);
  else check.name('plan_id', of.value);
  const from = checkMonth(check, 'from_month', request.fromMonth);
  const to = request.toMonth === '' ? from : checkMonth(check, 'to_month', request.toMonth);
  if (to < from) check.addViolation('to_month', 'must not be before from_month');
  const format = FORMATS[request.format];
  if (!format) check.addViolation('format', 'must be CSV or JSON');
  check.throwIfInvalid();
  return { of: of as NonNullable<typeof of>, from, to, format: format as FileFormat };
}
