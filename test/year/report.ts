/** The simulated year and its checks as tables. */
import type { VerifyResult } from '../../src/verify/verify.ts';
import { DAY_MS } from './calendar.ts';
import type { CheckSummary } from './check.ts';
import { dollars } from './rates.ts';
import { type SimulatedYear, STARTS_AT } from './simulate.ts';
import type { LogEntry } from './usage-log.ts';

type Row = readonly [what: string, figure: string];

const figure = (value: number | bigint): string => value.toLocaleString('en');

/** Two columns with a title, figures to the right. */
export function table(title: string, rows: readonly Row[]): string {
  const width = Math.max(...rows.map(([what]) => what.length));
  const figures = Math.max(...rows.map(([, value]) => value.length));
  const lines = rows.map(([what, value]) => `  ${what.padEnd(width)}  ${value.padStart(figures)}`);
  return [title, ...lines].join('\n');
}

export function yearTable({ log, until, batches, repeats }: SimulatedYear): string {
  const succeeded = (kind: LogEntry['request']['kind']) =>
    log.filter(({ request, response }) => request.kind === kind && !response.refused);
  const refused = (reason: string) =>
    log.filter(({ response }) => response.refused === reason).length;
  const rows: [string, number][] = [
    ['days', Math.ceil((until - STARTS_AT) / DAY_MS)],
    ['accounts opened', succeeded('open').length],
    ['accounts imported', succeeded('import').length],
    ['accounts moved to another plan', succeeded('move').length],
    ['accounts closed', succeeded('close').length],
    ['charges', succeeded('charge').length],
    ['reservations', succeeded('reserve').length],
    ['commits', succeeded('commit').length],
    ['releases', succeeded('release').length],
    ['refunds', succeeded('refund').length],
    ['packs bought', succeeded('purchase').length],
    ['refused: INSUFFICIENT_CREDITS', refused('INSUFFICIENT_CREDITS')],
    ['refused: RESERVATION_EXPIRED', refused('RESERVATION_EXPIRED')],
    ['refused: LATE_USAGE_NOT_ALLOWED', refused('LATE_USAGE_NOT_ALLOWED')],
    ['requests in all', log.length],
    ['batches', batches],
    ['batches sent twice, without effect', repeats],
  ];
  return table(
    'What happened',
    rows.map(([what, many]) => [what, figure(many)]),
  );
}

export function checkTable(
  { accounts, statements, history }: CheckSummary,
  result: VerifyResult & { ok: true },
): string {
  const tiers = [...statements.tiers].sort(([a], [b]) => a - b);
  return table('What was checked against the usage log', [
    ['accounts: every response and the last balance', figure(accounts)],
    ['allowances, one for each month', figure(history.allowances)],
    ['packs with credits left on their expiry', figure(history.packsExpired)],
    ['packs with nothing left on their expiry', figure(history.packsSpent)],
    ['packs that never expire', figure(history.packsWithoutExpiry)],
    ['credits expired: of packs', figure(history.breakageOfPacks)],
    ['credits expired: of allowances', figure(history.breakageOfAllowances)],
    ['credits expired: refunded after the expiry', figure(history.breakageOfRefunds)],
    ['late commits', figure(history.lateCommits)],
    ['charges, reservations and commits of late usage', figure(history.lateUsage)],
    ['of the month before', figure(history.lateUsageOfMonthBefore)],
    ['credits of allowances that returned for it', figure(history.returned)],
    ['postpaid accounts, twelve statements each', figure(statements.postpaidAccounts)],
    ['statements', figure(statements.statements)],
    ['with overage', figure(statements.withOverage)],
    ...tiers.map(([tier, many]): Row => [`with overage in tier ${tier}`, figure(many)]),
    ['with adjustments for refunds of billed overage', figure(statements.withAdjustments)],
    ['months read by GetStatement', figure(statements.readSingly)],
    ['credits of overage', figure(statements.overage)],
    ['billed', `${dollars(statements.billed)} USD`],
    ['entries in the accounts’ histories', figure(history.entries)],
    ['entries that verify recomputed', figure(result.entries)],
  ]);
}
