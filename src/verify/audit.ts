/** Audits the database of the environment for people: what it prints, and how it ends. */
import { readPublicKey } from '../anchors/anchor-key.ts';
import { requireConfig } from '../config.ts';
import { findDatabase } from '../find-database.ts';
import { recordRun } from './record-run.ts';
import { type Progress, type VerifyOptions, verify } from './verify.ts';

/** Exit code if there is a discrepancy. */
const DISCREPANCY = 1;

export type AuditOptions = {
  readonly account?: string | undefined;
  readonly all: boolean;
  readonly anchor?: string | undefined;
  /** Files of public keys. */
  readonly anchorKey: readonly string[];
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

/** Prints what the audit found. The exit code: 0, or 1 if there is a discrepancy. Throws if it cannot read. */
export async function audit(given: AuditOptions): Promise<number> {
  const options = await toVerifyOptions(given);
  const startedAt = performance.now();
  const database = await findDatabase(requireConfig(process.env));
  try {
    const progress = process.stderr.isTTY ? { onProgress: progressLine(startedAt) } : {};
    const result = await verify(database.url, { ...options, ...progress });
    if (options.accountId === undefined) {
      const problem = await recordRun(database.url, result);
      if (problem) process.stderr.write(`verify: not recorded for the metrics: ${problem}\n`);
    }
    if (result.ok) {
      const ms = Math.round(performance.now() - startedAt);
      print(
        `ok (${count(result.accounts, 'account')}, ${count(result.entries, 'entry')}, ${ms} ms)`,
      );
      if (result.anchor) {
        const { accounts, at, root, keyId } = result.anchor;
        print(
          `as ${count(accounts, 'account')} of ${at.toISOString()} were, root ${root}, key ${keyId}`,
        );
      }
      return 0;
    }
    const { discrepancies } = result;
    process.exitCode = DISCREPANCY; // also where nobody reads to the end
    for (const { accountId, what } of options.all ? discrepancies : discrepancies.slice(0, 1))
      print(accountId === null ? what : `account ${accountId}: ${what}`);
    return DISCREPANCY;
  } finally {
    await database.close();
  }
}

const print = (text: string) => process.stdout.write(`verify: ${text}\n`);

const count = (many: number, what: 'account' | 'entry'): string =>
  `${many.toLocaleString('en')} ${many === 1 ? what : { account: 'accounts', entry: 'entries' }[what]}`;

/** Below this an audit needs no progress. */
const PROGRESS_AFTER_MS = 2_000;

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
