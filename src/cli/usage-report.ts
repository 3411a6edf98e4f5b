/** `usage`: what accounts used, and the rollups that say so made anew. */
import type { Scrip } from '../client.ts';
import {
  GetUsageRequest_Dimension as Dimension,
  GetUsageResponse,
  GetUsageRequest_Granularity as Granularity,
  type UsageSum,
} from '../gen/billing/v1/statement_service.ts';
import { argumentError, exitWith, group } from './command.ts';
import { NOT_FOUND } from './exit-codes.ts';
import { named, toJson } from './json.ts';
import { instantOption, oneOf, toLimit } from './options.ts';
import { instant, labelsText, nonZero, printLines } from './print.ts';
import { rebuildCommand } from './rebuild.ts';
import { deadline, type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type By = { readonly groupBy: readonly Dimension[]; readonly label: string };

type Options = ServiceOptions & {
  readonly plan?: string;
  readonly by?: By;
  readonly per?: Granularity;
  readonly from?: Date;
  readonly to?: Date;
  readonly accountTimeZone: boolean;
  readonly csv: boolean;
  readonly limit: number;
};

const WORDS: ReadonlyMap<string, Dimension> = new Map([
  ['operation', Dimension.OPERATION],
  ['caller', Dimension.CALLER],
  ['version', Dimension.RATE_CARD_VERSION],
  ['account', Dimension.ACCOUNT],
]);

/** Such as "operation,caller" or "label:team". */
function byOption(text: string): By {
  const words = text.split(',');
  const labels = words.flatMap((word) => (word.startsWith('label:') ? word.slice(6) : []));
  if (labels.length > 1) throw argumentError('It must have one label at most.');
  const groupBy = words.map((word) => {
    if (word.startsWith('label:')) return Dimension.LABEL;
    const dimension = WORDS.get(word);
    if (dimension === undefined)
      throw argumentError(
        `There is no ${JSON.stringify(word)}: it must be of operation, caller, version, account and label:NAME.`,
      );
    return dimension;
  });
  return { groupBy, label: labels[0] ?? '' };
}

const report = serviceCommand('report', {
  description:
    'Sums what an account used, or what was used under the prices of a plan, or by all accounts: by default of the present ' +
    'month, by operation. It says up to where the sums are exact. Exits with 1 where nothing was used.',
  examples: [
    'acme',
    'acme --by operation,caller --per day',
    'acme --by label:team --from 2026-10-01 --to 2026-11-01',
    '--plan verts --by account --csv',
  ],
})
  .argument('[account]')
  .option('--plan <plan>', 'of all accounts, what its prices applied to')
  .option('--by <list>', 'of operation, caller, version, account and label:NAME', byOption)
  .option('--per <length>', 'hour, day or month', oneOf<Granularity>(Granularity, 'length of time'))
  .option('--from <date>', 'a full hour, UTC; default: the present month', instantOption)
  .option('--to <date>', 'a full hour, UTC, excluded; default: now', instantOption)
  .option('--account-time-zone', 'days and months are those of the account, not of UTC', false)
  .option('--csv', 'CSV, with all rows', false)
  .option('--limit <number>', 'at most so many rows', toLimit, 100)
  .action(
    exitWith(async (accountId: string | undefined, options: Options) => {
      const { plan, csv, json, limit } = options;
      if (accountId !== undefined && plan !== undefined)
        throw argumentError('either an account or --plan');
      if (csv && json) throw argumentError('either --csv or --json');
      const rowsMax = csv ? Number.POSITIVE_INFINITY : limit;
      const read = await withService(options, (scrip) =>
        readAll(scrip, accountId, options, rowsMax),
      );
      if (csv) await writeCsv(read.rows, options);
      else if (json)
        printLines([toJson(named(GetUsageResponse, { ...read.last, rows: [...read.rows] }), 2)]);
      else if (read.rows.length > 0) printLines(linesOf(read.rows, options));
      for (const note of notesOf(read, limit)) process.stderr.write(`${note}\n`);
      return read.rows.length > 0 ? 0 : NOT_FOUND;
    }),
  );

type Read = {
  readonly rows: readonly UsageSum[];
  readonly hasMore: boolean;
  readonly last: GetUsageResponse;
};

const BY_OPERATION: By = { groupBy: [Dimension.OPERATION], label: '' };

async function readAll(
  { statements }: Scrip,
  accountId: string | undefined,
  { plan, by = BY_OPERATION, per, from, to, accountTimeZone }: Options,
  rowsMax: number,
): Promise<Read> {
  const request = {
    ...(accountId !== undefined && { of: { $case: 'accountId' as const, value: accountId } }),
    ...(plan !== undefined && { of: { $case: 'planId' as const, value: plan } }),
    groupBy: [...by.groupBy],
    label: by.label,
    granularity: per ?? Granularity.UNSPECIFIED,
    from,
    to,
    inAccountTimeZone: accountTimeZone,
  };
  const rows: UsageSum[] = [];
  for (let pageToken = ''; ; ) {
    const pageSize = Math.min(rowsMax - rows.length, 1_000);
    const last = await statements.getUsage({ ...request, pageSize, pageToken }, deadline());
    rows.push(...last.rows);
    pageToken = last.nextPageToken;
    if (pageToken === '' || rows.length >= rowsMax)
      return { rows, hasMore: pageToken !== '', last };
  }
}

/** For people, beside the output. */
function notesOf({ rows, hasMore, last }: Read, limit: number): readonly string[] {
  return [
    ...(rows.length === 0 ? ['nothing was used'] : []),
    ...(hasMore ? [`there are more than ${limit}: raise --limit`] : []),
    ...(last.hasOtherLabels ? ['some accounts had more labels than have sums'] : []),
    last.exactUpToSeq > 0n
      ? `exact up to entry ${last.exactUpToSeq}`
      : `exact before ${instant(last.exactBefore)}`,
  ];
}

/** The columns that say what a row sums. */
function keysOf({ by = BY_OPERATION, per }: Options) {
  const has = (dimension: Dimension) => by.groupBy.includes(dimension);
  const all: readonly (readonly [string, boolean, (row: UsageSum) => string])[] = [
    ['starts_at', per !== undefined, (row) => instant(row.startsAt)],
    ['account', has(Dimension.ACCOUNT), (row) => row.accountId],
    ['operation', has(Dimension.OPERATION), (row) => row.operation],
    ['caller', has(Dimension.CALLER), (row) => row.caller],
    ['plan', has(Dimension.RATE_CARD_VERSION), (row) => row.planId],
    ['version', has(Dimension.RATE_CARD_VERSION), (row) => `${row.rateCardVersion}`],
    [`label.${by.label}`, has(Dimension.LABEL), ({ labelValue }) => labelValue ?? ''],
    ['label_sum', has(Dimension.LABEL), labelSumOf],
  ];
  return all.flatMap(([name, isShown, textOf]) => (isShown ? [{ name, textOf }] : []));
}

/** What the row is a sum of, where that is no value of the label. */
function labelSumOf({ labelValue, otherLabelValues }: UsageSum): string {
  if (otherLabelValues) return 'other values';
  return labelValue === undefined ? 'without the label' : '';
}

function linesOf(rows: readonly UsageSum[], options: Options): readonly string[] {
  const keys = keysOf(options);
  return table(
    [
      ...keys.map(({ name }) => ({
        title: name.startsWith('label.') ? name : name.replace('_', ' '),
      })),
      { title: 'count', align: 'right' },
      { title: 'credits', align: 'right' },
      { title: 'refunded', align: 'right' },
      { title: 'quantities' },
    ],
    rows.map((row) => [
      ...keys.map(({ name, textOf }) =>
        name === 'operation' ? textOf(row) || '(credits)' : textOf(row),
      ),
      `${row.count}`,
      `${row.credits}`,
      nonZero(row.refunded),
      labelsText(row.quantities),
    ]),
  );
}

/** A column for each quantity. */
async function writeCsv(rows: readonly UsageSum[], options: Options) {
  const { csvText } = await import('./csv.ts');
  const keys = keysOf(options);
  const quantities = [...new Set(rows.flatMap((row) => [...row.quantities.keys()]))].sort();
  const columns = [
    ...keys.map(({ name }) => name),
    ...['count', 'credits', 'refunded'],
    ...quantities.map((name) => `quantity.${name}`),
  ];
  const records = rows.map((row) => [
    ...keys.map(({ textOf }) => textOf(row)),
    ...[row.count, row.credits, row.refunded],
    ...quantities.map((name) => row.quantities.get(name) ?? 0n),
  ]);
  process.stdout.write(csvText([columns, ...records]));
}

const rebuild = rebuildCommand(
  'the rollups of usage reports',
  async () => (await import('../usage/rebuild.ts')).rebuildUsage,
);

export const usage = group('usage', 'What accounts used.', [rebuild]).addCommand(report, {
  isDefault: true,
});
