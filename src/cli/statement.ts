/** `statement`: what an account used in a month, and owes. */
import type { Scrip } from '../client.ts';
import { Grant_Category } from '../gen/billing/v1/ledger.ts';
import type { Money } from '../gen/billing/v1/pricing.ts';
import { Statement } from '../gen/billing/v1/statement_service.ts';
import { argumentError, exitWith } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { firstOf, toLimit } from './options.ts';
import { facts, instant, nonZero, printLines } from './print.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type Options = ServiceOptions & { readonly closed: boolean; readonly limit: number };

export const statement = serviceCommand('statement', {
  description:
    'Shows what an account used in a month (by default the present one), and what it owes. A month of a postpaid plan ' +
    'is closed when it is over; --closed lists those.',
  examples: ['acme', 'acme 2026-10', 'acme --closed --json'],
})
  .argument('<account>')
  .argument('[month]', 'such as 2026-10')
  .option('--closed', 'lists the closed statements, newest first', false)
  .option('--limit <number>', 'at most so many closed ones', toLimit, 50)
  .action(
    exitWith(async (accountId: string, month: string | undefined, options: Options) => {
      if (options.closed) {
        if (month !== undefined) throw argumentError('either a month or --closed');
        return await listClosed(accountId, options);
      }
      const found = await withService(options, async (scrip) => {
        const request = { accountId, month: month ?? (await presentMonth(scrip, accountId)) };
        return (await scrip.statements.getStatement(request, deadline())).statement;
      });
      if (options.json) printLines([toJson(named(Statement, found), 2)]);
      else if (found) printLines(linesOf(found));
      return 0;
    }),
  );

/** By the clock of the service. */
async function presentMonth({ billing }: Scrip, accountId: string): Promise<string> {
  const { balance } = await billing.getBalance({ accountId }, deadline());
  return instant(balance?.asOf).slice(0, 7);
}

async function listClosed(accountId: string, options: Options): Promise<number> {
  const { limit, json } = options;
  const { rows, hasMore } = await withService(options, ({ statements }) =>
    firstOf(limit, async (pageToken, pageSize) => {
      const page = await statements.listStatements({ accountId, pageToken, pageSize }, deadline());
      return [page.statements, page.nextPageToken];
    }),
  );
  if (json)
    printLines([
      toJson(
        rows.map((row) => named(Statement, row)),
        2,
      ),
    ]);
  else if (rows.length > 0) printLines(closedLines(rows));
  if (hasMore) process.stderr.write(`there are more than ${limit}: raise --limit\n`);
  if (rows.length === 0) process.stderr.write('no statement is closed\n');
  return rows.length > 0 ? 0 : NOT_FOUND;
}

const money = (of: Money | undefined): string => (of ? `${of.amount} ${of.currency}` : '');

const closedLines = (all: readonly Statement[]): readonly string[] =>
  table(
    [
      { title: 'month' },
      { title: 'plan' },
      { title: 'closed' },
      { title: 'overage', align: 'right' },
      { title: 'total', align: 'right' },
    ],
    all.map((one) => [
      one.month,
      one.planId,
      instant(one.closedAt),
      one.overage.toString(),
      [one.total, ...one.otherTotals].map(money).filter(Boolean).join(', '),
    ]),
  );

function linesOf(of: Statement): readonly string[] {
  const about = facts([
    ['account', of.accountId],
    ['month', of.month],
    ['plan', of.planId],
    [
      'state',
      of.closedAt ? `closed ${instant(of.closedAt)}` : 'open: it counts what is known so far',
    ],
    [
      'credits',
      of.creditsUsed
        .map(({ category, credits }) => `${credits} ${memberName(Grant_Category, category)}`)
        .join(', '),
    ],
    ['overage', of.overage > 0n ? `${of.overage} credits` : ''],
    ['owed', of.owed > 0n ? `${of.owed} credits, no part of the total` : ''],
    ['owed paid', of.owedPaid > 0n ? `${of.owedPaid} credits` : ''],
    ['total', [of.total, ...of.otherTotals].map(money).filter(Boolean).join(', ')],
  ]);
  const parts = [usageLines(of), overageLines(of), adjustmentLines(of)];
  return [...about, ...parts.flatMap((lines) => (lines.length > 0 ? ['', ...lines] : []))];
}

const usageLines = ({ usage }: Statement): readonly string[] =>
  usage.length === 0
    ? []
    : table(
        [
          { title: 'operation' },
          { title: 'count', align: 'right' },
          { title: 'credits', align: 'right' },
          { title: 'refunded', align: 'right' },
        ],
        usage.map((one) => [
          one.operation || '(credits)',
          one.count.toString(),
          one.credits.toString(),
          nonZero(one.refunded),
        ]),
      );

const overageLines = ({ overageLines: lines }: Statement): readonly string[] =>
  lines.length === 0
    ? []
    : table(
        [
          { title: 'tier', align: 'right' },
          { title: 'credits', align: 'right' },
          { title: 'each', align: 'right' },
          { title: 'amount', align: 'right' },
        ],
        lines.map((one) => [
          `${one.tier}`,
          one.quantity.toString(),
          one.unitPrice,
          money(one.amount),
        ]),
      );

const adjustmentLines = ({ adjustments }: Statement): readonly string[] =>
  adjustments.length === 0
    ? []
    : table(
        [
          { title: 'refunded later, of' },
          { title: 'credits', align: 'right' },
          { title: 'amount', align: 'right' },
        ],
        adjustments.map((one) => [one.month, one.credits.toString(), money(one.amount)]),
      );
