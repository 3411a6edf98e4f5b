/** Makes a trace of a seed. The same seed and length make the same trace. */
import { Random } from '../cluster/random.ts';
import type { ImportSpec } from './import-spec.ts';
import { ZONE_NAMES } from './model/calendar.ts';
import { PLANS, UNITS } from './plans.ts';
import { RandomImports } from './random-imports.ts';
import { onBehalfOf } from './replicas.ts';
import type {
  AmountSpec,
  Delivery,
  PaymentDeed,
  ReadSpec,
  RequestSpec,
  Step,
  Trace,
  UsageSpec,
} from './trace.ts';

const { MINUTE, HOUR, DAY } = UNITS;
const ACCOUNTS = 7;
/** The accounts that most requests are for. */
const HOT = 2;
/** The account that is in shadow mode in each trace. */
const SHADOWED = 4;
/** OverCommitPolicy. */
const TAKE = 4;
/** The values that a budget can be of, and exceptions of one for each of them. */
type BudgetValues = readonly [
  readonly [undefined, ...(string | undefined)[]],
  readonly [Exceptions, ...Exceptions[]],
];
type Exceptions = { readonly [value: string]: number | null };
const USER_BUDGETS: BudgetValues = [
  [undefined, undefined, 'ann', ''],
  [{}, { bob: 20 }, { bob: null, '': 70 }],
];
const OPERATION_BUDGETS: BudgetValues = [
  [undefined, undefined, 'doc.convert', ''],
  [{}, { 'doc.scan': 9 }, { 'doc.convert': null, '': 70 }],
];
/** Of packs; not set is one. */
const QUANTITIES = [undefined, undefined, 1, 2, 3] as const;

type Remembered = { reservations: number[]; spendings: number[]; purchases: number[] };

const isInBatches = (request: RequestSpec): boolean =>
  !['offer', 'withdraw', 'checkout', 'shadow'].includes(request.do);

/** A batch is made on behalf of one user. */
const isOfOneUser = (step: number, other: number): boolean =>
  onBehalfOf(`request-${step}`) === onBehalfOf(`request-${other}`);

export function makeTrace(seed: number, length: number): Trace {
  return new Workload(seed).trace(length);
}

class Workload {
  readonly #seed: number;
  readonly #random: Random;
  readonly #steps: Step[] = [];
  readonly #accounts: Remembered[] = [];
  readonly #replicas: number;
  /** Requests that can be repeated. */
  readonly #requests: { readonly id: number; readonly account: number }[] = [];
  readonly #checkouts: number[] = [];
  /** Accounts that have not begun. */
  readonly #later: number[] = [];
  readonly #imports: RandomImports;
  /** Accounts that are in shadow mode, now and then. */
  readonly #shadowed = new Set<number>();
  #orders = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#replicas = this.#random.of([1, 2, 2, 3]);
    this.#imports = new RandomImports(
      this.#random,
      (account) => `order${account}-${++this.#orders}`,
    );
  }

  trace(length: number): Trace {
    const random = this.#random;
    const width = random.of([1, 8, 16, 32, 48]);
    for (let account = 0; account < ACCOUNTS; account++) {
      this.#accounts.push({ reservations: [], spendings: [], purchases: [] });
      if (account === SHADOWED || (account === HOT - 1 && this.#chance(0.25)))
        this.#shadowed.add(account);
      if (account < HOT || this.#chance(0.7)) this.#begin(account);
      else this.#later.push(account);
    }
    while (this.#steps.length < length) this.#next();
    return { seed: this.#seed, replicas: this.#replicas, width, steps: this.#steps };
  }

  /** Opens an account, or imports it: sometimes after an import with a mistake, or while somebody else opens it. */
  #begin(account: number) {
    const isImported = !this.#shadowed.has(account) && this.#chance(0.4);
    if (isImported && this.#chance(0.5)) this.#add(account, this.#wrongImport(account));
    if (isImported) this.#add(account, this.#imports.next(account));
    if (!isImported || this.#chance(0.15)) this.#add(account, this.#open(account));
    if (this.#chance(isImported ? 0.3 : 0.7))
      this.#add(account, { do: 'grant', credits: this.#random.integer(20, 300), category: 1 });
  }

  #open(account: number): RequestSpec {
    const name = this.#chance(0.3) ? `name ${account}` : '';
    const timeZone = this.#chance(0.5) ? this.#timeZone() : '';
    return { do: 'open', plan: this.#plan(), name, timeZone };
  }

  #wrongImport = (account: number): ImportSpec =>
    this.#imports.withMistake(this.#imports.next(account));

  #chance = (share: number): boolean => this.#random.next() < share;

  #account(): number {
    return this.#chance(0.65)
      ? this.#random.integer(0, HOT - 1)
      : this.#random.integer(HOT, ACCOUNTS - 1);
  }

  #delivery(): Delivery {
    const random = this.#random;
    const replica = random.integer(0, this.#replicas - 1);
    const way = random.next();
    if (way < 0.08) return { replica, also: random.integer(0, this.#replicas - 1) };
    if (way < 0.16) return { replica, deadlineMs: random.integer(1, 12) };
    return { replica };
  }

  #push<Kind extends Step>(step: Kind extends Step ? Omit<Kind, 'id'> : never): number {
    const id = this.#steps.length;
    this.#steps.push({ id, ...step } as unknown as Step);
    return id;
  }

  #add(account: number, request: RequestSpec) {
    const delivery = this.#delivery();
    const id = this.#push<Extract<Step, { kind: 'request' }>>({
      kind: 'request',
      account,
      request,
      delivery,
    });
    this.#remember(account, id, request);
    this.#requests.push({ id, account });
  }

  #remember(account: number, id: number, request: RequestSpec) {
    const known = this.#accounts[account]!;
    if (request.do === 'reserve') known.reservations.push(id);
    if (request.do === 'charge' || request.do === 'commit') known.spendings.push(id);
    if (request.do === 'buy') known.purchases.push(id);
    if (request.do !== 'checkout') return;
    known.purchases.push(id);
    this.#checkouts.push(id);
  }

  #next() {
    if (this.#later.length > 0 && this.#chance(0.02)) this.#begin(this.#later.shift() as number);
    const choice = this.#random.next();
    if (choice < 0.6) return this.#addSome();
    if (choice < 0.67) return this.#repeat();
    if (choice < 0.69) return this.#batch();
    if (choice < 0.715) return this.#atomic();
    if (choice < 0.74) return this.#payment();
    if (choice < 0.89) return this.#read();
    if (choice < 0.97) return this.#time();
    if (choice < 0.99) {
      this.#push({ kind: 'sweep', replica: this.#random.integer(0, this.#replicas - 1) });
      return;
    }
    if (this.#chance(0.6))
      this.#push({ kind: 'kill', replica: this.#random.integer(0, this.#replicas - 1) });
  }

  #addSome() {
    const account = this.#account();
    this.#add(account, this.#request(account));
  }

  #repeat() {
    const recent = this.#requests.slice(-this.#random.of([3, 20, 1_000_000]));
    const { id, account } = this.#random.of(recent as [(typeof recent)[number]]);
    const before = this.#steps[id];
    if (before?.kind !== 'request') return;
    const other = this.#chance(0.3) ? this.#variant(account, before.request) : null;
    this.#push<Extract<Step, { kind: 'repeat' }>>({
      kind: 'repeat',
      of: id,
      other,
      delivery: this.#delivery(),
    });
  }

  /** Another body of the same method. */
  #variant(account: number, request: RequestSpec): RequestSpec {
    const random = this.#random;
    switch (request.do) {
      case 'reserve':
      case 'charge':
      case 'raise':
        return { ...request, amount: this.#amount(account) };
      case 'commit':
        return { ...request, amount: { credits: random.integer(0, 20) } };
      case 'grant':
        return { ...request, credits: request.credits + 1 };
      case 'change':
        return { ...request, priority: (request.priority ?? 0) + 1 };
      case 'void':
        return { ...request, credits: (request.credits ?? 0) + 1 };
      case 'refund':
        return { ...request, credits: random.integer(1, 9) };
      case 'buy':
        return { ...request, reference: `other ${this.#orders++}` };
      case 'update':
        return { do: 'update', name: `renamed ${random.integer(0, 9)}` };
      case 'extend':
        return { ...request, ttlMs: request.ttlMs + 1_000 };
      case 'move':
        return { do: 'move', plan: this.#plan() };
      case 'set budget':
        return { ...request, credits: request.credits + 1 };
      case 'shadow':
        return { ...request, enabled: !request.enabled };
      case 'import':
        return { ...request, reference: `${request.reference} again` };
      default:
        return request;
    }
  }

  #plan = (): string => this.#random.of(PLANS as unknown as [(typeof PLANS)[number]]).planId;

  #batch() {
    const account = this.#account();
    const count = this.#random.integer(2, 8);
    const items = Array.from({ length: count }, () => {
      const owner = this.#chance(0.7) ? account : this.#account();
      return { account: owner, request: this.#request(owner) };
    });
    this.#push<Extract<Step, { kind: 'batch' }>>({
      kind: 'batch',
      items: items.filter(({ request }) => isInBatches(request)),
      delivery: this.#delivery(),
    });
  }

  #atomic() {
    const account = this.#chance(0.2) ? SHADOWED : this.#account();
    const isShadowed = this.#shadowed.has(account);
    const id = this.#steps.length;
    const count = this.#random.integer(1, 5);
    const some = Array.from({ length: count }, () => this.#request(account));
    // One that is charged in part, and decided in shadow mode in part, is left out.
    const requests = isShadowed
      ? some.filter((one) => one.do === 'reserve' || one.do === 'charge')
      : some;
    if (requests.length === 0) return;
    const others = this.#requests.filter(
      (one) => one.account === account && isOfOneUser(one.id, id) && this.#isInBatches(one.id),
    );
    const recent = others.slice(-3);
    const isAgain = !isShadowed && recent.length > 0 && this.#chance(0.15);
    this.#push<Extract<Step, { kind: 'atomic' }>>({
      kind: 'atomic',
      account,
      requests: requests.filter(isInBatches),
      again: isAgain
        ? {
            of: this.#random.of(recent as [(typeof recent)[number]]).id,
            place: this.#random.integer(0, count),
          }
        : null,
      delivery: this.#delivery(),
    });
  }

  #isInBatches(id: number): boolean {
    const step = this.#steps[id];
    return step?.kind === 'request' && isInBatches(step.request);
  }

  #request(account: number): RequestSpec {
    const request = this.#shadowed.has(account)
      ? this.#shadowedRequest(account)
      : this.#plainRequest(account);
    if (!this.#chance(0.03)) return request;
    return { ...request, notAfterMs: this.#random.of([-1, 0, 1, 30_000]) };
  }

  /** What the model does not predict of shadow mode is left out: budgets, limited grants, late usage and what is owed. */
  #shadowedRequest(account: number): RequestSpec {
    if (this.#chance(0.06)) return { do: 'shadow', enabled: this.#chance(0.6) };
    const request = this.#plainRequest(account);
    switch (request.do) {
      case 'set budget':
      case 'import':
        return { do: 'resume' };
      case 'reserve': {
        const { usedMs: _, ...rest } = request;
        return { ...rest, policy: rest.policy === TAKE ? 0 : rest.policy };
      }
      case 'charge': {
        const { usedMs: _, ...rest } = request;
        return rest;
      }
      case 'grant': {
        const { onlyFor: _, ...rest } = request;
        return rest;
      }
      case 'change': {
        const { onlyFor: _, ...rest } = request;
        return { ...rest, priority: rest.priority ?? 50 };
      }
      default:
        return request;
    }
  }

  #plainRequest(account: number): RequestSpec {
    const random = this.#random;
    const { reservations, spendings } = this.#accounts[account]!;
    const recent = (ids: readonly number[]): number | null =>
      ids.length === 0 ? null : random.of(ids.slice(-random.of([2, 6, 30])) as unknown as [number]);
    const reservation = recent(reservations);
    const choice = random.next();
    if (choice < 0.24 || (choice < 0.58 && reservation === null)) return this.#reserve(account);
    if (reservation !== null) {
      if (choice < 0.4) return this.#commit(account, reservation);
      if (choice < 0.46) return { do: 'release', of: reservation };
      if (choice < 0.52) return { do: 'raise', of: reservation, amount: this.#amount(account) };
      if (choice < 0.58) return { do: 'extend', of: reservation, ttlMs: this.#ttl() };
    }
    if (choice < 0.75)
      return {
        do: 'charge',
        amount: this.#amount(account),
        sheddable: this.#chance(0.2),
        reference: '',
        ...this.#user(),
        ...this.#used(),
      };
    if (choice < 0.83) {
      const of = recent(spendings);
      const credits = this.#chance(0.4) ? null : random.integer(1, 25);
      if (of !== null)
        return { do: 'refund', of, credits, reference: this.#chance(0.2) ? 'complaint' : '' };
    }
    if (choice < 0.897) return this.#grant();
    if (choice < 0.902) return this.#budget();
    if (choice < 0.907) return this.#void();
    if (choice < 0.916) return this.#change();
    if (choice < 0.93) return this.#buy(account);
    if (choice < 0.945)
      return {
        do: 'checkout',
        pack: random.of(['small', 'small', 'large', 'month', 'own-1']),
        quantity: random.of(QUANTITIES),
      };
    if (choice < 0.947) return { do: 'suspend', running: random.of([0, 1, 2]) };
    if (choice < 0.957) return { do: 'resume' };
    if (choice < 0.963)
      return this.#chance(0.7)
        ? {
            do: 'offer',
            pack: `own-${random.integer(1, 3)}`,
            credits: random.integer(10, 90),
            days: 3,
          }
        : { do: 'withdraw', pack: `own-${random.integer(1, 3)}` };
    if (choice < 0.98) return this.#update();
    if (choice < 0.983) return this.#chance(0.8) ? this.#wrongOrNot(account) : this.#open(account);
    if (choice < 0.997 || account < ACCOUNTS - 2) return { do: 'move', plan: this.#plan() };
    return { do: 'close' };
  }

  /** Of an account that has begun, nothing is imported. */
  #wrongOrNot = (account: number): ImportSpec =>
    this.#chance(0.3) ? this.#wrongImport(account) : this.#imports.next(account);

  #reserve(account: number): RequestSpec {
    const random = this.#random;
    return {
      do: 'reserve',
      amount: this.#amount(account),
      ...(this.#chance(0.7) && { ttlMs: this.#ttl() }),
      policy: random.of([0, 1, 2, 3, 3, 4, 4]),
      sheddable: this.#chance(0.15),
      reference: this.#chance(0.3) ? `job ${random.integer(1, 99)}` : '',
      ...this.#user(),
      ...this.#used(),
    };
  }

  /** Seldom: most plans take no late usage. */
  #used(): { readonly usedMs?: number } {
    if (!this.#chance(0.12)) return {};
    const random = this.#random;
    return { usedMs: random.of([-1, 0, HOUR, random.integer(1, 40) * HOUR, 2 * DAY, 3 * DAY]) };
  }

  #user = (): { readonly user?: string } =>
    this.#chance(0.4) ? {} : { user: this.#random.of(['ann', 'ann', 'bob', '']) };

  #budget(): RequestSpec {
    const random = this.#random;
    const budget = random.of(['one', 'one', 'two']);
    if (this.#chance(0.15)) return { do: 'remove budget', budget };
    const isOfOperations = this.#chance(0.5);
    const [values, exceptions] = isOfOperations ? OPERATION_BUDGETS : USER_BUDGETS;
    const value = random.of(values);
    return {
      do: 'set budget',
      budget,
      ...(isOfOperations && { dimension: 'operation' }),
      ...(value !== undefined && { value }),
      credits: random.of([0, 40, 150, 150, random.integer(1, 400)]),
      period: random.of([1, 1, 2, 3, 4]),
      enforcement: random.of([0, 1, 2]),
      exceptions: value === undefined ? random.of(exceptions) : {},
    };
  }

  #ttl = (): number =>
    this.#random.of([
      ...[1, 1_000, 30_000, MINUTE, 10 * MINUTE, HOUR, HOUR, 3 * HOUR, 3 * HOUR, 3 * HOUR + 1],
    ] as [number]);

  #commit(account: number, of: number): RequestSpec {
    const amount: AmountSpec = this.#chance(0.35) ? { all: true } : this.#amount(account);
    const final = this.#random.of([undefined, true, false]);
    return { do: 'commit', of, amount, ...(final !== undefined && { final }) };
  }

  #amount(_account: number): AmountSpec {
    const random = this.#random;
    if (this.#chance(0.5)) return { credits: random.of([0, 1, 5, 12, 30, random.integer(1, 120)]) };
    return { usages: Array.from({ length: random.of([1, 1, 2, 3]) }, () => this.#usage()) };
  }

  #usage(): UsageSpec {
    const random = this.#random;
    const operation = random.of([
      'doc.convert',
      'doc.convert',
      'doc.scan',
      'image.scale',
      'doc.upload',
    ]);
    const count = random.of([1, 1, 2, 3]);
    if (this.#chance(0.01)) return { operation: 'doc.unknown', quantities: {}, count };
    if (operation === 'doc.convert')
      return {
        operation,
        quantities: { pages: this.#chance(0.02) ? 201 : random.integer(1, 20) },
        count,
      };
    if (operation === 'image.scale')
      return { operation, quantities: { factor: random.integer(2, 16) }, count };
    return { operation, quantities: {}, count };
  }

  #grant(): RequestSpec {
    const random = this.#random;
    const priority = random.of([undefined, undefined, 10, 90]);
    const starts = this.#chance(0.2) ? random.of([1, 40_000, HOUR, DAY]) : 0;
    const lasts = random.of([null, 1, 2_000, MINUTE, 20 * MINUTE, HOUR, DAY, 3 * DAY]);
    const onlyFor = this.#chance(0.15)
      ? random.of([['doc.scan'], ['doc.convert', 'doc.scan'], ['image.scale'], ['doc.upload']])
      : null;
    return {
      do: 'grant',
      credits: random.of([1, 7, 20, random.integer(1, 150)]),
      category: random.of([1, 2, 4]),
      ...(priority !== undefined && { priority }),
      ...(starts > 0 && { effectiveInMs: starts }),
      ...(lasts !== null && { expiresInMs: starts + lasts }),
      ...(onlyFor && { onlyFor }),
    };
  }

  #change(): RequestSpec {
    const random = this.#random;
    const what = random.integer(0, 2);
    const onlyFor = random.of([null, ['doc.scan'], ['doc.convert', 'doc.scan'], ['image.scale']]);
    return {
      do: 'change',
      grant: random.integer(1, random.of([2, 4, 12])),
      ...((what === 0 || this.#chance(0.2)) && { priority: random.of([10, 50, 90]) }),
      ...((what === 1 || this.#chance(0.2)) && {
        expiresInMs: random.of([null, 0, 1, 2_000, 20 * MINUTE, HOUR, 3 * DAY]),
      }),
      ...((what === 2 || this.#chance(0.2)) && { onlyFor }),
    };
  }

  #void(): RequestSpec {
    const random = this.#random;
    return {
      do: 'void',
      grant: random.integer(1, random.of([2, 4, 12])),
      credits: random.of([null, null, random.integer(1, 60)]),
      returned: random.of([0, 1, 2, 2]),
    };
  }

  #buy(account: number): RequestSpec {
    const random = this.#random;
    const old = this.#orders > 0 && this.#chance(0.2);
    const number = old ? random.integer(1, this.#orders) : ++this.#orders;
    return {
      do: 'buy',
      quantity: random.of(QUANTITIES),
      pack: random.of(['small', 'small', 'large', 'month', `own-${random.integer(1, 3)}`]),
      reference: `${this.#chance(0.2) ? 'Order ' : 'order'}${account}-${number}`,
    };
  }

  #timeZone = (): string => this.#random.of(ZONE_NAMES as [string, ...string[]]);

  #update(): RequestSpec {
    const random = this.#random;
    switch (random.integer(0, 4)) {
      case 4:
        return { do: 'update', timeZone: this.#timeZone() };
      case 0:
        return { do: 'update', name: `name ${random.integer(1, 5)}` };
      case 1:
        return { do: 'update', labels: { team: `t${random.integer(1, 3)}` } };
      case 2:
        return { do: 'update', levels: random.of([null, [], [20, 80], ['10%', 15], ['50%']]) };
      default:
        return { do: 'update', floor: random.of([null, 0, 20, 60]) };
    }
  }

  #payment() {
    const random = this.#random;
    const replica = random.integer(0, this.#replicas - 1);
    const recent = this.#checkouts.slice(-6);
    if (recent.length === 0 || this.#chance(0.15)) {
      this.#push<Extract<Step, { kind: 'check' }>>({ kind: 'check', replica });
      return;
    }
    const deed = random.of<PaymentDeed>([
      ...(['pay', 'pay', 'pay', 'pay', 'pay other', 'pay later', 'pay later', 'arrive'] as const),
      ...(['arrive', 'bounce', 'expire', 'refund', 'refund', 'dispute', 'win', 'lose'] as const),
    ] as unknown as [PaymentDeed]);
    this.#push<Extract<Step, { kind: 'payment' }>>({
      kind: 'payment',
      of: random.of(recent as [number]),
      deed,
      replica,
      webhooks: random.of([0, 1, 1, 2, 4]),
    });
  }

  #read() {
    const account = this.#account();
    const delivery = { replica: this.#random.integer(0, this.#replicas - 1) };
    this.#push<Extract<Step, { kind: 'read' }>>({
      kind: 'read',
      account,
      read: this.#readOf(account),
      delivery,
    });
  }

  #readOf(account: number): ReadSpec {
    const random = this.#random;
    const { reservations, purchases } = this.#accounts[account]!;
    if (this.#chance(0.02)) return { read: 'import', account: this.#wrongOrNot(account) };
    const choice = random.integer(0, 17);
    if (choice === 13 || choice === 14) return this.#pastBalance();
    if (choice === 15 || choice === 16) return this.#entries(reservations);
    if (choice === 17)
      return {
        read: 'purchase estimate',
        pack: random.of(['small', 'large', 'month', `own-${random.integer(1, 3)}`]),
        ...this.#some({ quantity: random.integer(1, 7) }),
      };
    if (choice < 4) return { read: 'balance', grants: this.#chance(0.5) };
    if (choice < 6) return { read: 'estimate', usages: [this.#usage(), this.#usage()] };
    if (choice < 8 && reservations.length > 0)
      return { read: 'reservation', of: random.of(reservations.slice(-8) as [number]) };
    if (choice === 8) return { read: 'grants' };
    if (choice === 9) return { read: 'reservations', states: random.of([[], [1], [4], [2, 3]]) };
    if (choice === 10 && purchases.length > 0)
      return { read: 'purchase', of: random.of(purchases.slice(-4) as [number]) };
    if (choice === 12) return { read: 'budgets' };
    return random.of<ReadSpec>([{ read: 'account' }, { read: 'packs' }, { read: 'purchases' }]);
  }

  #pastBalance(): ReadSpec {
    const random = this.#random;
    const buckets = this.#chance(0.5);
    const reached = Math.max(1, Math.floor(this.#steps.length / 3));
    const point = this.#chance(0.5)
      ? { seq: random.integer(1, random.of([3, 20, reached])) }
      : { agoMs: random.of([0, 0, 1, 1_000, MINUTE, HOUR, 7 * HOUR, 3 * DAY, -1]) };
    return { read: 'past balance', point, buckets };
  }

  #entries(reservations: readonly number[]): ReadSpec {
    const random = this.#random;
    const page = { read: 'entries', pageSize: random.of([1, 5, 20, 1_000]) } as const;
    if (reservations.length > 0 && this.#chance(0.3))
      return { ...page, of: random.of(reservations.slice(-8) as [number]) };
    const requestId = `request-${random.integer(0, this.#steps.length)}`;
    return {
      ...page,
      ...random.of([
        {},
        {},
        { kinds: random.of([[1, 3], [5, 9], [6], [10, 33]]) },
        { operation: this.#usage().operation },
        { reference: `job ${random.integer(1, 99)}` },
        { requestId },
        { labelKey: random.of(['user', 'team']) },
      ]),
      ...(this.#chance(0.2) && { beforeSeq: random.integer(1, 60) }),
    };
  }

  #some = <Fields extends object>(fields: Fields): Fields | object =>
    this.#chance(0.5) ? fields : {};

  #time() {
    const random = this.#random;
    const calm = this.#chance(0.3);
    const choice = random.next();
    if (choice < 0.3) {
      const { reservations } = this.#accounts[this.#account()]!;
      const of = reservations.at(-random.integer(1, 4));
      const ms = random.of([-1, 0, 0, 1, 1_000, 5 * MINUTE, 5 * MINUTE + 1]);
      if (of !== undefined)
        this.#push<Extract<Step, { kind: 'reach' }>>({ kind: 'reach', of, ms, calm });
      return;
    }
    if (choice < 0.34) {
      const to = this.#chance(0.8) ? 'day' : 'month';
      this.#push<Extract<Step, { kind: 'turn' }>>({
        kind: 'turn',
        to,
        zone: this.#timeZone(),
        ms: random.of([-1, 0, 1, 5_000]),
      });
      return;
    }
    const ms = random.of([
      ...[
        1,
        1,
        10,
        10,
        1_000,
        1_000,
        5_000,
        30_000,
        30_000,
        2 * MINUTE,
        10 * MINUTE,
        HOUR,
        7 * HOUR,
      ],
    ] as [number]);
    this.#push<Extract<Step, { kind: 'advance' }>>({ kind: 'advance', ms, calm });
  }
}
