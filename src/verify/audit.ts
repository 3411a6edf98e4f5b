/** Audits the databases of the environment for people: what it prints, and how it ends. */
import { readPublicKey } from '../anchors/anchor-key.ts';
import { type ArchiveDirectories, archiveDirectoriesOf } from '../archive/archive-directory.ts';
import type { CellAddress } from '../cells/cells-file.ts';
import { errorOfCell } from '../cells/error-of-cell.ts';
import { cellOfAccount } from '../cells/installation.ts';
import { requireConfig } from '../config.ts';
import { chooseCell, findCells } from '../find-database.ts';
import { recordRun } from './record-run.ts';
import { type Progress, type VerifyOptions, type VerifyResult, verify } from './verify.ts';

/** Exit code if there is a discrepancy. */
const DISCREPANCY = 1;

export type AuditOptions = {
  readonly account?: string | undefined;
  readonly all: boolean;
  readonly anchor?: string | undefined;
  /** Files of public keys. */
  readonly anchorKey: readonly string[];
  /** Only this one of several. */
  readonly cell?: string | undefined;
};

/** The options of the audit. Throws where a key is missing or cannot be read. */
async function toVerifyOptions(options: AuditOptions): Promise<VerifyOptions> {
  const { account, all, anchor, anchorKey } = options;
  if (anchor !== undefined && anchorKey.length === 0)
    throw new Error('--anchor needs --anchor-key: the public key of those who wrote it');
  return {
    all,
    ...(account !== undefined && { accountId: account }),
    ...(anchor !== undefined && {
      anchor: { file: anchor, keys: await Promise.all(anchorKey.map(readPublicKey)) },
    }),
  };
}

/**
 * Audits every cell at the same time, or that of the account, and prints what was found. The exit code: 0, or 1 if
 * there is a discrepancy. Throws if it cannot read.
 */
export async function audit(given: AuditOptions): Promise<number> {
  const options = await toVerifyOptions(given);
  const startedAt = performance.now();
  const config = requireConfig(process.env);
  const { cells: all, close } = await findCells(config);
  const archiveOf = (name: string): Partial<ArchiveDirectories> =>
    config.ARCHIVE_DIRECTORY
      ? archiveDirectoriesOf(config.ARCHIVE_DIRECTORY, all.length > 1 ? name : null)
      : {};
  try {
    const cells = await cellsToAudit(all, given);
    const onProgress = process.stderr.isTTY ? progressOfAll(startedAt) : null;
    const audited = await Promise.allSettled(
      cells.map(async ({ name, url }) => {
        const progress = onProgress && { onProgress: onProgress.of(name) };
        const { directory: archiveDirectory, earlierDirectory } = archiveOf(name);
        const of = { ...options, ...progress, archiveDirectory, earlierDirectory };
        const result = await verify(url, of);
        if (options.accountId === undefined) {
          const problem = await recordRun(url, result);
          if (problem) process.stderr.write(`verify: not recorded for the metrics: ${problem}\n`);
        }
        return result;
      }),
    );
    let exitCode = 0;
    for (const [index, one] of audited.entries()) {
      if (one.status === 'rejected') continue;
      const name = all.length > 1 ? `cell ${cells[index]?.name}: ` : '';
      if (!one.value.ok) exitCode = DISCREPANCY;
      process.exitCode = exitCode; // also where nobody reads to the end
      for (const line of linesOf(one.value, options, startedAt)) print(`${name}${line}`);
    }
    for (const [index, one] of audited.entries())
      if (one.status === 'rejected')
        throw all.length > 1 ? errorOfCell(one.reason, cells[index]?.name ?? '') : one.reason;
    return exitCode;
  } finally {
    await close();
  }
}

/** The named cell, that of the account, or all. */
async function cellsToAudit(
  cells: readonly CellAddress[],
  { account, anchor, cell }: AuditOptions,
): Promise<readonly CellAddress[]> {
  if (cell !== undefined) return [chooseCell(cells, cell)];
  if (cells.length === 1) return cells;
  const names = cells.map(({ name }) => name).join(', ');
  if (anchor !== undefined)
    throw new Error(`--anchor needs --cell: the anchor is of one of the cells ${names}`);
  if (account === undefined) return cells;
  return [await cellOfAccount(cells, account)];
}

/** The error of a cell, with its name where there are several. */
function linesOf(result: VerifyResult, { all }: VerifyOptions, startedAt: number): string[] {
  if (!result.ok) {
    const { discrepancies } = result;
    return (all ? discrepancies : discrepancies.slice(0, 1)).map(({ accountId, what }) =>
      accountId === null ? what : `account ${accountId}: ${what}`,
    );
  }
  const ms = Math.round(performance.now() - startedAt);
  const { accounts, entries, anchor } = result;
  const lines = [`ok (${count(accounts, 'account')}, ${count(entries, 'entry')}, ${ms} ms)`];
  if (anchor)
    lines.push(
      `as ${count(anchor.accounts, 'account')} of ${anchor.at.toISOString()} were, root ${anchor.root}, key ${anchor.keyId}`,
    );
  return lines;
}

const print = (text: string) => process.stdout.write(`verify: ${text}\n`);

const count = (many: number, what: 'account' | 'entry'): string =>
  `${many.toLocaleString('en')} ${many === 1 ? what : { account: 'accounts', entry: 'entries' }[what]}`;

/** Below this an audit needs no progress. */
const PROGRESS_AFTER_MS = 2_000;

/** The progress of all cells, in one line. */
function progressOfAll(startedAt: number) {
  const show = progressLine(startedAt);
  const cells = new Map<string, Progress>();
  return {
    of: (name: string) => (progress: Progress) => {
      cells.set(name, progress);
      const sum = (what: keyof Progress) =>
        [...cells.values()].reduce((total, one) => total + one[what], 0);
      show({ accounts: sum('accounts'), of: sum('of') });
    },
  };
}

/** Keeps one line of the terminal up to date: how far the audit is, and how long the rest takes at this pace. */
const progressLine = (startedAt: number) => {
  let isShown = false;
  return ({ accounts, of }: Progress): void => {
    const ms = performance.now() - startedAt;
    const isDone = accounts >= of;
    if (!isShown && (isDone || ms < PROGRESS_AFTER_MS)) return;
    isShown = true;
    const rest = Math.ceil((ms / accounts) * ((of - accounts) / 1_000));
    const text = `verify: ${accounts.toLocaleString('en')} of ${count(of, 'account')}, about ${rest} s left`;
    process.stderr.write(isDone ? '\r\u001b[K' : `\r\u001b[K${text}`);
  };
};
