/** `roll-forward`: what became of unspent credits in a month, and the sums that say so made anew. */
import { Grant_Category as Category } from '../gen/billing/v1/ledger.ts';
import {
  GetRollForwardResponse,
  type RollForward,
  type RollForwardFigure,
} from '../gen/billing/v1/statement_service.ts';
import { argumentError, exitWith, group } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { memberName } from './member-name.ts';
import { instant, printLines } from './print.ts';
import { rebuildCommand } from './rebuild.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type Options = ServiceOptions & { readonly plan?: string; readonly csv: boolean };

const report = serviceCommand('report', {
  description:
    'Shows what became of unspent credits in a calendar month (UTC), by plan, category and currency, and of what was paid ' +
    'for them: deferred revenue at its beginning and end, revenue, and breakage (expired). Exits with 1 where nothing was unspent.',
  examples: ['2026-10', '2026-10 --csv', '2026-10 --plan verts --json'],
})
  .argument('<month>', 'such as 2026-10')
  .option('--plan <plan>', 'of one plan')
  .option('--csv', 'CSV', false)
  .action(
    exitWith(async (month: string, options: Options) => {
      const { plan = '', csv, json } = options;
      if (csv && json) throw argumentError('either --csv or --json');
      const response = await withService(options, ({ statements }) =>
        statements.getRollForward({ month, planId: plan }, deadline()),
      );
      const { rows } = response;
      if (csv) await writeCsv(month, rows);
      else if (json) printLines([toJson(named(GetRollForwardResponse, response), 2)]);
      else if (rows.length > 0) printLines(linesOf(rows));
      for (const note of notesOf(month, response)) process.stderr.write(`${note}\n`);
      return rows.length > 0 ? 0 : NOT_FOUND;
    }),
  );

/** For people, beside the output. */
const notesOf = (month: string, { rows, exactBefore, final }: GetRollForwardResponse) => [
  ...(rows.length === 0 ? [`no credits were unspent in ${month}`] : []),
  final
    ? `${month} is final: its figures do not change any more`
    : `${month} is not final: exact before ${instant(exactBefore)}`,
];

/** In the order in which they add up. */
const FIGURES = [
  'opening',
  'issued',
  'refunded',
  'moved',
  'corrected',
  'spent',
  'expired',
  'voided',
  'clawedBack',
  'closing',
] as const;
type FigureName = (typeof FIGURES)[number];

const LOSSES: ReadonlySet<FigureName> = new Set(['spent', 'expired', 'voided', 'clawedBack']);

const columnName = (name: FigureName): string => (name === 'clawedBack' ? 'clawed_back' : name);

const NOTHING: RollForwardFigure = { credits: 0n, amount: '' };

/** A table of credits, and one of amounts. What is lost has a minus sign: each line adds up from left to right. */
function linesOf(rows: readonly RollForward[]): readonly string[] {
  const keys = [{ title: 'plan' }, { title: 'category' }, { title: 'currency' }];
  const right = (title: string) => ({ title, align: 'right' as const });
  const figures = FIGURES.map((name) => right(columnName(name).replace('_', ' ')));
  const cells = (row: RollForward, textOf: (figure: RollForwardFigure) => string) => [
    ...[row.planId, memberName(Category, row.category), row.currency],
    ...FIGURES.map((name) => signed(name, textOf(row[name] ?? NOTHING))),
  ];
  const paid = rows.filter(({ currency }) => currency !== '');
  const credits = table(
    [...keys, ...figures],
    rows.map((row) => cells(row, (figure) => `${figure.credits}`)),
  );
  if (paid.length === 0) return credits;
  const amounts = table(
    [...keys, ...figures, right('revenue')],
    paid.map((row) => [...cells(row, (figure) => figure.amount), row.revenue]),
  );
  return [...credits, '', ...amounts];
}

const isZero = (text: string): boolean => /^[0.]*$/.test(text);

const signed = (name: FigureName, text: string): string => {
  if (isZero(text)) return name === 'opening' || name === 'closing' ? text : '';
  return LOSSES.has(name) ? `-${text}` : text;
};

/** Figures are as the service states them: what is lost has no sign. */
async function writeCsv(month: string, rows: readonly RollForward[]) {
  const { csvText } = await import('./csv.ts');
  const names = FIGURES.map(columnName);
  const columns = [
    ...['month', 'plan', 'category', 'currency'],
    ...names,
    ...names.map((name) => `${name}_amount`),
    'revenue',
  ];
  const records = rows.map((row) => [
    ...[month, row.planId, memberName(Category, row.category), row.currency],
    ...FIGURES.map((name) => `${(row[name] ?? NOTHING).credits}`),
    ...FIGURES.map((name) => (row[name] ?? NOTHING).amount),
    row.revenue,
  ]);
  process.stdout.write(csvText([columns, ...records]));
}

const rebuild = rebuildCommand(
  'the sums of roll-forwards',
  async () => (await import('../roll-forward/rebuild.ts')).rebuildRollForward,
);

export const rollForward = group('roll-forward', 'What became of unspent credits in a month.', [
  rebuild,
]).addCommand(report, { isDefault: true });
