/** `import`: takes over the accounts of another system from a file. */
import { basename } from 'node:path';
import { visible } from '../visible-text.ts';
import { argumentError, exitWith } from './command.ts';
import { DIFFERENT, INVALID_FILE } from './exit-codes.ts';
import { type Imported, importFile } from './import/import-file.ts';
import type { Mistake } from './import/read-records.ts';
import { isSame, type PlanSums } from './import/sums.ts';
import { toJson } from './json.ts';
import { nonZero, printLines } from './print.ts';
import { type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { table } from './table.ts';

type Options = ServiceOptions & { readonly system: string; readonly dryRun: boolean };

export const importCommand = serviceCommand('import', {
  description:
    'Imports accounts of another system from a file of JSON lines or CSV (*.csv): with their opening date, grants, ' +
    'purchases, and the running month. Run again, it leaves what is there and goes on. It ends with the sums of the ' +
    'file and of the ledger. With --dry-run it checks every line and writes nothing.',
  examples: [
    'accounts.jsonl --system billing-v1 --dry-run',
    'accounts.jsonl --system billing-v1',
    'accounts.csv --system billing-v1 --json',
  ],
})
  .argument('<file>')
  .requiredOption('--system <name>', 'name of the other system, which the entries keep')
  .option('--dry-run', 'only checks the file, and sums it by plan', false)
  .action(
    exitWith(async (path: string, options: Options) => {
      const { system, dryRun, json } = options;
      if (!/^[A-Za-z0-9._:-]{1,64}$/.test(system))
        throw argumentError('--system must be 1 to 64 of letters, digits and . _ : -');
      const mistakes = new Mistakes(json);
      const result = await withService(options, (scrip) =>
        importFile(scrip, {
          path,
          system,
          file: basename(path),
          validateOnly: dryRun,
          onMistake: (mistake) => mistakes.add(mistake),
          onProgress: progressOf(dryRun),
        }),
      );
      endProgress();
      if (json) printLines([toJson({ ...resultJson(result), mistakes: mistakes.kept }, 2)]);
      else printLines(linesOf(result, dryRun));
      return exitCodeOf(result);
    }),
  );

/** Mistakes that a JSON result lists: it is in memory until the end. */
const LISTED_MAX = 1_000;

class Mistakes {
  readonly kept: Mistake[] = [];
  readonly #json: boolean;

  constructor(json: boolean) {
    this.#json = json;
  }

  add(mistake: Mistake) {
    if (this.#json) {
      if (this.kept.length < LISTED_MAX) this.kept.push(mistake);
      return;
    }
    endProgress();
    printLines([mistakeLine(mistake)]);
  }
}

const mistakeLine = ({ line, account, field, reason, message }: Mistake): string =>
  visible(
    `line ${line}: ${[account, field].filter(Boolean).join(' ')}${account || field ? ': ' : ''}${message} (${reason})`,
  );

const isComplete = ({ refused, file, ledger }: Imported): boolean =>
  refused === 0 && (ledger === null || isSame(file, ledger));

function exitCodeOf(result: Imported): number {
  if (result.refused > 0) return INVALID_FILE;
  return isComplete(result) ? 0 : DIFFERENT;
}

const resultJson = ({ file, ledger, ...counts }: Imported) => ({
  complete: isComplete({ file, ledger, ...counts }),
  ...counts,
  file,
  ...(ledger && { ledger }),
});

function linesOf(result: Imported, dryRun: boolean): readonly string[] {
  const { imported, there, refused, file, ledger } = result;
  const done = dryRun ? `${imported} to import` : `${imported} imported`;
  const counts = [done, `${there} were there`, `${refused} with mistakes`].join(', ');
  if (ledger === null)
    return [...sumLines([['', file]]), `${counts}; dry run: nothing was written`];
  const isEqual = isSame(file, ledger);
  return [
    ...sumLines(
      isEqual
        ? [['', file]]
        : [
            ['file', file],
            ['ledger', ledger],
          ],
    ),
    counts,
    isEqual
      ? 'the sums of the file are those of the ledger'
      : 'the sums of the file are not those of the ledger',
    ...(refused > 0 ? ['not complete: correct the lines, and run it again'] : []),
  ];
}

/** Sums by plan; where there are several, `of` says of what. */
function sumLines(all: readonly (readonly [of: string, sums: readonly PlanSums[]])[]) {
  const rows = all.flatMap(([of, sums]) => sums.map((one) => rowOf(of, one)));
  return rows.length === 0
    ? []
    : table(
        [
          { title: 'plan' },
          { title: 'of' },
          ...['accounts', 'grants', 'purchases', 'granted', 'spent', 'this month', 'overage'].map(
            (title) => ({ title, align: 'right' as const }),
          ),
          { title: 'paid' },
        ],
        rows.toSorted(([a = ''], [b = '']) => (a < b ? -1 : a > b ? 1 : 0)),
      );
}

const rowOf = (of: string, sums: PlanSums): readonly string[] => [
  sums.planId,
  of,
  `${sums.accounts}`,
  `${sums.grants}`,
  `${sums.purchases}`,
  `${sums.granted}`,
  `${sums.spent}`,
  nonZero(sums.spentThisMonth),
  nonZero(sums.overage),
  sums.paid.map(({ amount, currency }) => `${amount} ${currency}`).join(', '),
];

/** Accounts between two lines of progress, where nobody watches a terminal. */
const PROGRESS_EVERY = 5_000;
let isProgressShown = false;

/** On a terminal one line that changes, else a line now and then. */
function progressOf(dryRun: boolean): (accounts: number) => void {
  const done = dryRun ? 'checked' : 'done';
  let shown = 0;
  return (accounts) => {
    const text = `${accounts.toLocaleString('en')} accounts ${done}`;
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\u001b[K${text}`);
      isProgressShown = true;
    } else if (accounts - shown >= PROGRESS_EVERY) {
      process.stderr.write(`${text}\n`);
      shown = accounts;
    }
  };
}

/** What is written next begins a line of its own. */
function endProgress() {
  if (isProgressShown) process.stderr.write('\r\u001b[K');
  isProgressShown = false;
}
