/** What happened in the year and what was checked, as a table. */
import type { VerifyResult } from '../../src/verify/verify.ts';
import { DAY_MS } from './calendar.ts';
import type { Checked } from './check.ts';
import type { Logged } from './log.ts';
import { type Played, STARTS_AT } from './play.ts';
import { dollars } from './rates.ts';

type Row = readonly [what: string, figure: string];

const figure = (value: number | bigint): string => value.toLocaleString('en');

/** Two columns with a title, figures to the right. */
export function table(title: string, rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([what]) => what.length));
  const figures = Math.max(...rows.map(([, value]) => value.length));
  const lines = rows.map(([what, value]) => `  ${what.padEnd(width)}  ${value.padStart(figures)}`);
  return [title, ...lines].join('\n');
}

export function happened({ log, until, batches, repeats }: Played): string {
  const done = (kind: Logged['asked']['kind']) =>
    log.filter(({ asked, answer }) => asked.kind === kind && !answer.refused);
  const refused = (reason: string) => log.filter(({ answer }) => answer.refused === reason).length;
  const rows: [string, number][] = [
    ['days', Math.ceil((until - STARTS_AT) / DAY_MS)],
    ['accounts opened', done('open').length],
    ['accounts moved to another plan', done('move').length],
    ['accounts closed', done('close').length],
    ['charges', done('charge').length],
    ['reservations', done('reserve').length],
    ['commits', done('commit').length],
    ['releases', done('release').length],
    ['refunds', done('refund').length],
    ['packs bought', done('purchase').length],
    ['refused: INSUFFICIENT_CREDITS', refused('INSUFFICIENT_CREDITS')],
    ['refused: RESERVATION_EXPIRED', refused('RESERVATION_EXPIRED')],
    ['requests in all', log.length],
    ['batches they went in', batches],
    ['batches sent twice, without effect', repeats],
  ];
  return table(
    'What happened',
    rows.map(([what, many]) => [what, figure(many)]),
  );
}

export function checked(
  { accounts, statements, history }: Checked,
  result: VerifyResult & { ok: true },
): string {
  const tiers = [...statements.tiers].sort(([a], [b]) => a - b);
  return table('What was checked against the usage log', [
    ['accounts, every answer and the last balance', figure(accounts)],
    ['allowances, one for each month', figure(history.allowances)],
    ['packs expired on their own day with credits left', figure(history.packsExpired)],
    ['packs that had nothing left on their day', figure(history.packsSpent)],
    ['packs that never expire', figure(history.packsKept)],
    ['credits expired: of packs', figure(history.brokenPacks)],
    ['credits expired: of allowances', figure(history.brokenAllowances)],
    ['credits expired: refunded too late', figure(history.brokenRefunds)],
    ['late commits', figure(history.lateCommits)],
    ['postpaid accounts, twelve statements each', figure(statements.postpaidAccounts)],
    ['statements', figure(statements.statements)],
    ['with overage', figure(statements.withOverage)],
    ...tiers.map(([tier, many]): Row => [`with overage in tier ${tier}`, figure(many)]),
    ['with adjustments for refunds of billed overage', figure(statements.withAdjustments)],
    ['months read one by one', figure(statements.readOneByOne)],
    ['credits of overage', figure(statements.overage)],
    ['billed', `${dollars(statements.billed)} USD`],
    ['entries in the accounts’ histories', figure(history.entries)],
    ['entries that verify recomputed', figure(result.entries)],
  ]);
}
