/** Imports the accounts of a file in batches, a few at a time, and sums them in the file and in the ledger. */
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { type Scrip, ScripError } from '../../client.ts';
import { ImportAccountRequest, type ImportSums } from '../../gen/billing/v1/account_service.ts';
import type { MutationError, MutationResult } from '../../gen/billing/v1/billing_service.ts';
import { BadRequest } from '../../gen/google/rpc/error_details.ts';
import { MAX_CREDITS } from '../../pricing/plan.ts';
import { REFUSED } from '../exit-codes.ts';
import { CallError, deadline } from '../service-call.ts';
import { type Mistake, type ReadAccount, readRecords } from './read-records.ts';
import { type ImportOrigin, type ImportRecord, toRequest } from './record.ts';
import { type PlanSums, Sums } from './sums.ts';

export type ImportOptions = ImportOrigin & {
  readonly path: string;
  /** Told of each mistake, in the order of the file. */
  readonly onMistake: (mistake: Mistake) => void;
  /** Told how many accounts are done. */
  readonly onProgress: (accounts: number) => void;
};

export type Imported = {
  readonly accounts: number;
  /** Of these: written now; written before, with the same content; with mistakes. */
  readonly imported: number;
  readonly there: number;
  readonly refused: number;
  /** Without those with mistakes. */
  readonly file: readonly PlanSums[];
  /** Null where nothing was to be written. */
  readonly ledger: readonly PlanSums[] | null;
};

type Readable = ReadAccount & { readonly record: ImportRecord };
type Sent = Readable & { readonly request: ImportAccountRequest };

/** As many as a call may have of accounts, and by far not what it may have of bytes and of values of lists. */
const ACCOUNTS_MAX = 200;
const BYTES_MAX = 512 * 1024;
const VALUES_MAX = 10_000;
/** Batches that are on their way: the service works on one while the next is read and sent. */
const IN_FLIGHT = 3;
/** An import writes more than a charge. */
const DEADLINE_MS = 120_000;

export async function importFile(scrip: Scrip, options: ImportOptions): Promise<Imported> {
  const run = new ImportRun(scrip, options);
  let isReliable = true;
  for await (const account of readRecords(options.path)) {
    // What a row or column has that nobody reads would be missing for ever: an account is imported once.
    if ('record' in account && !isReliable && !options.validateOnly) break;
    if ('record' in account) await run.add(account);
    else await run.refuse(account.mistakes);
    isReliable &&= !('ofAll' in account && account.ofAll);
  }
  return await run.end();
}

/** What a batch came to: told in the order of the file. */
type Outcome = {
  readonly mistakes: readonly Mistake[];
  readonly accounts: number;
  readonly imported: number;
  readonly there: number;
  readonly file: readonly ImportRecord[];
  readonly ledger: readonly ImportSums[];
};

class ImportRun {
  readonly #scrip: Scrip;
  readonly #options: ImportOptions;
  readonly #file = new Sums();
  readonly #ledger = new Sums();
  readonly #running: Promise<Outcome>[] = [];
  #batch: Sent[] = [];
  #bytes = 0;
  #values = 0;
  #counts = { accounts: 0, imported: 0, there: 0, refused: 0 };

  constructor(scrip: Scrip, options: ImportOptions) {
    this.#scrip = scrip;
    this.#options = options;
  }

  async add(account: Readable): Promise<void> {
    const request = toRequest(account.record, this.#options);
    const bytes = ImportAccountRequest.encode(request).finish().length;
    const values =
      request.labels.size +
      request.grants.length * 5 +
      request.purchases.length +
      (request.month?.usage.length ?? 0);
    const isFull =
      this.#batch.length >= ACCOUNTS_MAX ||
      this.#bytes + bytes > BYTES_MAX ||
      this.#values + values > VALUES_MAX;
    if (isFull) await this.#send();
    this.#batch.push({ ...account, request });
    this.#bytes += bytes;
    this.#values += values;
  }

  /** An account that cannot be read. */
  async refuse(mistakes: readonly Mistake[]): Promise<void> {
    await this.#send();
    const none = { imported: 0, there: 0, file: [], ledger: [] };
    this.#running.push(Promise.resolve({ mistakes, accounts: 1, ...none }));
  }

  async end(): Promise<Imported> {
    await this.#send();
    while (this.#running.length > 0) await this.#take();
    return {
      ...this.#counts,
      file: this.#file.all,
      ledger: this.#options.validateOnly ? null : this.#ledger.all,
    };
  }

  async #send(): Promise<void> {
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#bytes = 0;
    this.#values = 0;
    while (this.#running.length >= IN_FLIGHT) await this.#take();
    const outcome = this.#import(batch);
    // It is awaited in its turn; until then its error is not lost.
    outcome.catch(() => {});
    this.#running.push(outcome);
  }

  /** Waits for the oldest batch. */
  async #take(): Promise<void> {
    const outcome = await this.#running.shift();
    if (!outcome) return;
    const { mistakes, accounts, imported, there, file, ledger } = outcome;
    for (const mistake of mistakes) this.#options.onMistake(mistake);
    for (const record of file) this.#file.addRecord(record);
    for (const sums of ledger) this.#ledger.add(sums);
    const counts = this.#counts;
    counts.accounts += accounts;
    counts.imported += imported;
    counts.there += there;
    counts.refused += accounts - imported - there;
    this.#options.onProgress(counts.accounts);
  }

  async #import(batch: readonly Sent[]): Promise<Outcome> {
    const results = await this.#submit(batch);
    const mistakes: Mistake[] = [];
    const written: Sent[] = [];
    let there = 0;
    for (const [index, sent] of batch.entries()) {
      const result = results[index]?.result;
      if (result?.$case === 'error') mistakes.push(...mistakesOf(sent, result.value));
      else {
        written.push(sent);
        if (result?.$case === 'importAccount' && result.value.replay) there += 1;
      }
    }
    return {
      mistakes,
      accounts: batch.length,
      imported: written.length - there,
      there,
      file: written.map(({ record }) => record),
      ledger: await this.#sum(written),
    };
  }

  /** The sums that the ledger has of these accounts. */
  async #sum(written: readonly Sent[]): Promise<readonly ImportSums[]> {
    if (this.#options.validateOnly || written.length === 0) return [];
    return await this.#sumOf(written.map(({ request }) => request.accountId));
  }

  /** Sums that may be larger than they say are asked for in halves: those of one account are exact. */
  async #sumOf(accountIds: readonly string[]): Promise<readonly ImportSums[]> {
    const { sums } = await patiently(() =>
      this.#scrip.accounts.sumImports({ accountIds: [...accountIds] }, deadline(DEADLINE_MS)),
    );
    if (accountIds.length === 1 || !sums.some(mayBeMore)) return sums;
    const middle = accountIds.length >> 1;
    const first = await this.#sumOf(accountIds.slice(0, middle));
    return [...first, ...(await this.#sumOf(accountIds.slice(middle)))];
  }

  /** The results of a batch. What the service had no time for is sent again: the request ids make that safe. */
  async #submit(batch: readonly Sent[]): Promise<readonly MutationResult[]> {
    const results: MutationResult[] = [];
    let left = batch.map((_, index) => index);
    for (let attempt = 0; left.length > 0; attempt++) {
      if (attempt > 0) await pause(attempt);
      const mutations = left.map((index) => ({
        mutation: { $case: 'importAccount' as const, value: batch[index]!.request },
      }));
      const answer = await patiently(() =>
        this.#scrip.billing.batch({ mutations }, deadline(DEADLINE_MS)),
      );
      const refused: number[] = [];
      for (const [position, index] of left.entries()) {
        const result = answer.results[position];
        const error = result?.result?.$case === 'error' ? result.result.value : null;
        if (error && mayPass(error.code, error.reason) && attempt < ATTEMPTS_MAX)
          refused.push(index);
        else if (result) results[index] = result;
      }
      left = refused;
    }
    return results;
  }
}

const mayBeMore = ({ granted, spent, spentThisMonth, expired, overage }: ImportSums): boolean =>
  [granted, spent, spentThisMonth, expired, overage].includes(MAX_CREDITS);

const ATTEMPTS_MAX = 8;

/** 100 ms, 200 ms … 6.4 s. */
const pause = (attempt: number): Promise<void> =>
  sleep(Math.min(6_400, 50 * 2 ** attempt) * (1 + Math.random()));

/** Whether the same call may succeed a little later. */
const mayPass = (code: number, reason: string): boolean =>
  code === status.UNAVAILABLE ||
  code === status.DEADLINE_EXCEEDED ||
  reason === 'OVERLOADED' ||
  reason === 'RATE_LIMITED';

/** Repeats a call while the service does not answer it, or has no time for it. */
async function patiently<Answer>(call: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt++)
    try {
      return await call();
    } catch (error) {
      const passes = error instanceof ScripError && mayPass(error.code, error.reason);
      if (!passes || attempt >= ATTEMPTS_MAX) throw error;
      await pause(attempt);
    }
}

/** A mistake for each field that is wrong. Throws if the caller may not import. */
function mistakesOf(sent: Sent, error: MutationError): readonly Mistake[] {
  const { code, reason, message, details } = error;
  if (code === status.PERMISSION_DENIED)
    throw new CallError(
      `${message}; policy explain says which rule of the policy applies`,
      REFUSED,
    );
  const account = sent.request.accountId;
  const bad = details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.BadRequest'));
  const violations = bad ? BadRequest.decode(bad.value).fieldViolations : [];
  if (violations.length === 0) return [{ line: sent.line, account, field: '', reason, message }];
  return violations.map(({ field, description, reason: ofField }) => ({
    line: sent.lineOf(field),
    account,
    field,
    reason: ofField || reason,
    message: description,
  }));
}
