/**
 * Which entries belong to one mutation, and who caused it. The first entry has the request: a method that
 * writes entries of its kind. Further ones follow directly, with the same request id and caller. What the
 * service does by itself has neither method nor request id. Entries say why, where their method asks for it.
 */
import type { Entry, Method, StoredEntry } from '../ledger/entry.ts';
import type { Grant, GrantSource } from '../ledger/grant.ts';
import type { Report } from './findings.ts';
import { ENTRY_RULES } from './moves.ts';

/** The caller of what the service does by itself. */
const SERVICE = 'scrip';

type Request = Pick<Entry, 'requestId' | 'caller'>;
type Mutation = Request & {
  readonly method: Method;
  readonly certificate: string;
  /** Null: erased. */
  readonly onBehalfOf: string | null;
  readonly granted: Set<GrantSource>;
};

/** The methods whose requests have a reason. */
const SAYS_WHY: ReadonlySet<Method> = new Set([
  'GrantCredits',
  'VoidGrant',
  'SuspendAccount',
  'ResumeAccount',
  'SetShadowMode',
  'SetBudget',
  'RemoveBudget',
  'UpdateGrant',
  'Refund',
  'MoveAccount',
  'EraseAccountData',
  'ResolvePurchase',
]);

/** What makes grants of which sources. */
const SOURCES: Partial<Record<Method | 'the service', readonly GrantSource[]>> = {
  GrantCredits: ['OPERATOR'],
  OpenAccount: ['WELCOME', 'ALLOWANCE'],
  ImportAccount: ['WELCOME', 'ALLOWANCE', 'OPERATOR'],
  Refund: ['REFUND'],
  // REFUND: what others have paid of a debt that a won dispute cancels, as refund-grants.ts checks.
  'the service': ['ALLOWANCE', 'REFUND'],
};

export class Mutations {
  readonly #grants: ReadonlyMap<bigint, Grant>;
  /** The mutation of the entry before. Null: it was of the service. Undefined: it could not be read. */
  #current: Mutation | null | undefined = null;
  /** Who bought what is paid later, by the purchase. */
  readonly #checkouts = new Map<string, Request>();

  constructor(grants: ReadonlyMap<bigint, Grant>) {
    this.#grants = grants;
  }

  /** Checks the account's next entry. */
  apply(entry: StoredEntry, report: Report) {
    const { kind, request, requestId, caller } = entry;
    checkReason(entry, report);
    if (request) this.#begin(entry, request.method, report);
    else if (requestId === '') this.#checkService(entry, report);
    else if (this.#isPaidLater(entry)) this.#checkPaidLater(entry, report);
    else this.#checkFurther(entry, report);
    if (kind === 'CHECKOUT') this.#checkouts.set(entry.purchaseId ?? '', { requestId, caller });
  }

  /** Passes over an entry that cannot be read. */
  skip() {
    this.#current = undefined;
  }

  #begin(entry: StoredEntry, method: Method, report: Report) {
    const { kind, requestId, caller, certificate } = entry;
    if (requestId === '') report(`a request of ${method} has no id`);
    if (!ENTRY_RULES[kind].of.includes(method))
      report(`a ${kind} is not written by ${method} first`);
    const onBehalfOf = onBehalfOfIn(entry);
    this.#current = { requestId, caller, certificate, onBehalfOf, method, granted: new Set() };
    this.#checkSource(entry, method, report);
  }

  #checkService(entry: Entry, report: Report) {
    const { kind, caller } = entry;
    // What an entry of a request brings may pay what is owed before the request's further entries.
    if (kind !== 'PAY_OWED') this.#current = null;
    if (!ENTRY_RULES[kind].byService) return report(`a ${kind} names a request`);
    if (caller !== SERVICE) report(`its caller is ${caller}, and it has no request`);
    checkActsForNobody(entry, report);
    this.#checkSource(entry, 'the service', report);
  }

  /** What is bought at a checkout is granted once it is paid, in the name of the buyer. */
  #isPaidLater({ kind, purchaseId, requestId, caller }: Entry): boolean {
    const bought = kind === 'PURCHASE' ? this.#checkouts.get(purchaseId ?? '') : undefined;
    return bought?.requestId === requestId && bought.caller === caller;
  }

  #checkPaidLater(entry: Entry, report: Report) {
    this.#current = null;
    checkActsForNobody(entry, report);
  }

  #checkFurther(entry: StoredEntry, report: Report) {
    const { kind, requestId } = entry;
    const current = this.#current;
    if (current === undefined) return;
    if (current?.requestId !== requestId || !isOfSameCaller(current, entry)) {
      this.#current = null;
      return report(`has no method, and is not of the request of the entry before it`);
    }
    const { method, granted } = current;
    if (!ENTRY_RULES[kind].furtherOf.includes(method))
      return report(`a ${kind} does not follow the first entry of ${method}`);
    const source = this.#checkSource(entry, method, report);
    const isOnce = method === 'OpenAccount' || (method === 'ImportAccount' && source === 'WELCOME');
    if (isOnce && source && granted.has(source))
      report(`opening the account granted ${source} before`);
    if (source) granted.add(source);
  }

  /** Returns the source of the grant that the entry made. */
  #checkSource({ kind, grantId }: Entry, by: Method | 'the service', report: Report) {
    const source = kind === 'GRANT' ? this.#grants.get(grantId ?? 0n)?.source : undefined;
    if (source && !SOURCES[by]?.includes(source))
      report(`grant ${grantId} is of source ${source}, and ${by} made it`);
    return source;
  }
}

/** Null: erased. */
const onBehalfOfIn = ({ onBehalfOf, erasedHash }: StoredEntry): string | null =>
  erasedHash === null ? onBehalfOf : null;

function isOfSameCaller(
  { caller, certificate, onBehalfOf }: Mutation,
  entry: StoredEntry,
): boolean {
  if (caller !== entry.caller || certificate !== entry.certificate) return false;
  const named = onBehalfOfIn(entry);
  return onBehalfOf === null || named === null || onBehalfOf === named;
}

/** Of an entry that no call wrote. */
function checkActsForNobody({ onBehalfOf, certificate }: Entry, report: Report) {
  if (onBehalfOf) report(`acts on behalf of ${onBehalfOf}, and no call wrote it`);
  if (certificate) report(`came with certificate ${certificate}, and no call wrote it`);
}

/** An erased entry does not say why. */
function checkReason({ request, personal, erasedHash }: StoredEntry, report: Report) {
  if (erasedHash !== null) return;
  const isAsked = request !== null && SAYS_WHY.has(request.method);
  if (isAsked && !personal['reason']) report(`a ${request.method} does not say why`);
  if (!isAsked && 'reason' in personal) report('states a reason, and no request gave one');
}
