/**
 * The budgets that entries set, and what jobs have used of them. Compares the account's budgets and every counter
 * with the result, and reports an entry that a hard budget should have refused.
 */
import { canonicalJson } from '../canonical.ts';
import type { Account } from '../ledger/account.ts';
import type { Budget, BudgetCounter } from '../ledger/budget.ts';
import type { StoredEntry } from '../ledger/entry.ts';
import { BudgetJobs, type JobChange, type Shares } from './budget-jobs.ts';
import { type Erasure, readCount } from './erasure.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import { intervalAt } from './zone-periods.ts';

type SaidBudget = Omit<Budget, 'exceptions'> & {
  /** Null: the entry was erased, and the value with it. */
  readonly exceptions: Budget['exceptions'] | null;
};

type Used = { used: bigint; reportedCap: bigint | null };

export class Budgets {
  readonly #timeZones: Account['timeZones'];
  readonly #budgets = new Map<string, SaidBudget>();
  readonly #jobs = new BudgetJobs();
  readonly #used = new Map<string, Used>();
  /** Budgets, by `since`, of which some work is not known: it was erased. Others may have used more than is known. */
  readonly #partlyKnown = new Set<bigint>();
  #isErased = false;

  constructor({ timeZones }: Pick<Account, 'timeZones'>) {
    this.#timeZones = timeZones;
  }

  /** Applies the account's next entry. */
  apply(entry: StoredEntry, report: Report) {
    const { kind, details } = entry;
    if (kind === 'SET_BUDGET') this.#set(entry, report);
    else if (kind === 'REMOVE_BUDGET') {
      if (!this.#budgets.delete(details['budget_id'] ?? ''))
        report(`removes budget ${details['budget_id']}, which is not there`);
    } else if (kind === 'ERASE_ACCOUNT_DATA') {
      this.#budgets.clear();
      this.#isErased = true;
    } else {
      const budgets = [...this.#budgets.values()];
      const hasOperations = budgets.some(({ label }) => label === null);
      const change = this.#jobs.apply(entry, budgets.length > 0, hasOperations);
      if (change) for (const budget of budgets) this.#count(budget, change, entry.at, report);
    }
  }

  /** What a reservation holds by operation, as its row says it; null if it says nothing. */
  heldByOperation(reservationId: string): Shares | null {
    return this.#jobs.heldOf(reservationId);
  }

  finish(
    { budgets }: Account,
    counters: readonly BudgetCounter[],
    erasure: Erasure,
    report: Report,
  ) {
    if (budgets?.length === 0) report('budgets are an empty list, which the service never writes');
    this.#compareBudgets(budgets ?? [], report);
    if (this.#isErased) {
      if (erasure.ended && counters.length > 0)
        report(`it has counters of budgets, entry ${erasure.ended.seq} erased them`);
      return;
    }
    const said = new Map(this.#used);
    for (const counter of counters) {
      const name = nameOf(counter);
      this.#compareCounter(counter, said.get(name), report);
      said.delete(name);
    }
    for (const [name, { used }] of said)
      report(`the counter of budget ${name} is missing, the entries say ${used}`);
  }

  #set(entry: StoredEntry, report: Report) {
    const budget = readBudget(entry);
    if (typeof budget === 'string') return report(budget);
    const before = this.#budgets.get(budget.budgetId);
    const goesOn = before && termsOf(before) === termsOf(budget);
    const isErased = budget.exceptions === null || before?.exceptions === null;
    const since = goesOn ? before.since : entry.seq;
    if (budget.since !== since && !(isErased && budget.since === entry.seq))
      report(`its budget counts since ${budget.since}, and not since ${since}`);
    if (budget.exceptions === null) this.#partlyKnown.add(budget.since);
    this.#budgets.set(budget.budgetId, budget);
  }

  #count(budget: SaidBudget, change: JobChange, at: number, report: Report) {
    const { job, isRefund } = change;
    if (budget.exceptions === null || job.startSeq <= budget.since) return;
    const period =
      budget.period === 'TOTAL'
        ? IN_TOTAL
        : intervalAt(this.#timeZones, budget.period, job.startedAt);
    if (isRefund && period.until <= at) return;
    if (budget.label !== null && job.labels === null) {
      this.#partlyKnown.add(budget.since);
      return;
    }
    for (const [value, credits] of changesOf(budget, change)) {
      if (credits === 0n || (budget.value !== null && budget.value !== value)) continue;
      const name = nameOf({ since: budget.since, periodFrom: period.from, value });
      const counter = this.#used.get(name) ?? { used: 0n, reportedCap: null };
      this.#used.set(name, counter);
      counter.used += credits;
      const cap = capOf(budget, value);
      if (counter.used < 0n) report(`gives back to budget ${name} what it did not use`);
      if (credits < 0n || cap === null || counter.used <= cap) continue;
      if (budget.enforcement === 'HARD')
        report(`brings budget ${name} to ${counter.used}, above its cap of ${cap}`);
      else if ((counter.reportedCap ?? -1n) < cap) counter.reportedCap = cap;
    }
  }

  #compareBudgets(budgets: readonly Budget[], report: Report) {
    const stated = new Map(budgets.map((budget) => [budget.budgetId, budget]));
    const inOrder = [...stated.keys()].sort();
    if (budgets.some(({ budgetId }, index) => budgetId !== inOrder[index]))
      report('budgets are not in the order of their ids, or one is there twice');
    for (const id of new Set([...stated.keys(), ...this.#budgets.keys()])) {
      const said = this.#budgets.get(id);
      const [one, other] = [stated.get(id), said].map((budget) => {
        if (!budget) return 'none';
        // Of an erased entry the values are not known.
        return said?.exceptions === null
          ? canonicalJson({ ...budget, value: null, exceptions: null })
          : canonicalJson(budget);
      });
      if (one !== other) report(`budget ${id} is ${one}, the entries say ${other}`);
    }
  }

  #compareCounter(counter: BudgetCounter, said: Used | undefined, report: Report) {
    const { since, used, reportedCap } = counter;
    const { used: known, reportedCap: knownCap } = said ?? { used: 0n, reportedCap: null };
    const name = nameOf(counter);
    if (this.#partlyKnown.has(since)) {
      if (used < known)
        report(`the counter of budget ${name} is ${used}, the entries say at least ${known}`);
      return;
    }
    if (!said) return report(`the counter of budget ${name} is ${used}, no entry counts on it`);
    if (used !== known)
      report(`the counter of budget ${name} is ${used}, the entries say ${known}`);
    if (reportedCap !== knownCap)
      report(
        `the counter of budget ${name} says that ${reportedCap} was exceeded, the entries say ${knownCap}`,
      );
  }
}

/** For people, and for maps of one account: a budget by its `since`, the day its period began, and a value. */
const nameOf = ({
  since,
  periodFrom,
  value,
}: Pick<BudgetCounter, 'since' | 'periodFrom' | 'value'>): string =>
  `of entry ${since} from ${instant(periodFrom)} for "${value}"`;

/** What must stay the same for a budget to go on counting. */
const termsOf = ({ label, value, period }: SaidBudget): string =>
  canonicalJson([label, value, period]);

const capOf = ({ cap, exceptions }: SaidBudget, value: string): bigint | null => {
  const exception = exceptions?.get(value);
  return exception === undefined ? cap : exception;
};

function changesOf({ label }: SaidBudget, { job, credits, byOperation }: JobChange): Shares {
  if (label === null) return byOperation;
  const { labels } = job;
  return new Map([[labels && Object.hasOwn(labels, label) ? (labels[label] ?? '') : '', credits]]);
}

const IN_TOTAL = { from: 0, until: Number.POSITIVE_INFINITY };

const PERIODS: readonly string[] = ['DAY', 'WEEK', 'MONTH', 'TOTAL'] satisfies Budget['period'][];

/** The budget that an entry sets, or why it is none. */
function readBudget({ details, personal, erasedHash }: StoredEntry): SaidBudget | string {
  const { budget_id, of, label, cap, period = '', enforcement, since } = details;
  if ((of === 'label') !== (label !== undefined) || (of !== 'label' && of !== 'operation'))
    return `its budget is of ${of} ${label}`;
  if (!PERIODS.includes(period)) return `its budget has the period ${period}`;
  if (enforcement !== 'HARD' && enforcement !== 'SOFT') return `its budget is ${enforcement}`;
  const exceptions = readExceptions(personal['exceptions']);
  if (exceptions === null) return 'the exceptions of its budget cannot be read';
  return {
    budgetId: budget_id ?? '',
    since: BigInt(readCount(since)),
    label: label ?? null,
    value: personal['value'] ?? null,
    cap: BigInt(readCredits(cap)),
    period: period as Budget['period'],
    enforcement,
    exceptions: erasedHash === null ? exceptions : null,
  };
}

/** Null: it is not what the service writes. */
function readExceptions(text: string | undefined): Budget['exceptions'] | null {
  try {
    const stated = Object.entries<unknown>(JSON.parse(text ?? '{}'));
    return new Map(
      stated.map(([value, cap]) => [value, cap === null ? null : BigInt(cap as string | number)]),
    );
  } catch {
    return null;
  }
}

const CREDITS = /^\d{1,19}$/;

const readCredits = (text: string | undefined): string => (text && CREDITS.test(text) ? text : '0');
