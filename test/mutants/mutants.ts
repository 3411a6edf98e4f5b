/** The faults that are seeded, and the tests that should detect each: the folders of the rules that they break. */

export type Mutant = {
  readonly name: string;
  readonly file: string;
  /** Occurs once in the file. */
  readonly find: string;
  readonly replace: string;
  /** Folders and files of tests. */
  readonly tests: readonly string[];
};

const LEDGER = ['test/ledger'];
const LANES = ['test/lanes', 'test/account-cache', 'test/cluster/once.test.ts'];
const CACHE = ['test/account-cache', 'test/cluster/mixed-load.test.ts'];
const VERIFY = ['test/verify'];

export const MUTANTS: readonly Mutant[] = [
  // Burn order and expiry.
  {
    name: 'the grant that expires last burns first',
    file: 'src/ledger/grant.ts',
    find: 'if (expiryA !== expiryB) return expiryA < expiryB ? -1 : 1;',
    replace: 'if (expiryA !== expiryB) return expiryA < expiryB ? 1 : -1;',
    tests: LEDGER,
  },
  {
    name: 'paid credits burn before unpaid ones',
    file: 'src/ledger/grant.ts',
    find: 'return paidA ? 1 : -1;',
    replace: 'return paidA ? -1 : 1;',
    tests: LEDGER,
  },
  {
    name: 'a grant lives a millisecond too long',
    file: 'src/ledger/grant.ts',
    find: 'grant.expiresAt !== null && grant.expiresAt <= now;',
    replace: 'grant.expiresAt !== null && grant.expiresAt < now;',
    tests: LEDGER,
  },
  {
    name: 'what is due this millisecond is not settled',
    file: 'src/ledger/settle.ts',
    find: 'if (at !== null && at <= book.now) items.push',
    replace: 'if (at !== null && at < book.now) items.push',
    tests: LEDGER,
  },
  {
    name: 'due items are settled in the wrong order',
    file: 'src/ledger/settle.ts',
    find: 'return items.sort((a, b) => a.at - b.at);',
    replace: 'return items.sort((a, b) => b.at - a.at);',
    tests: LEDGER,
  },
  // Reservations.
  {
    name: 'a release gives nothing back',
    file: 'src/ledger/rules/release.ts',
    find: 'moves: toReturnMoves(book, reservation.allocations),',
    replace: 'moves: [],',
    tests: LEDGER,
  },
  {
    name: 'a reservation that expires gives nothing back',
    file: 'src/ledger/settle.ts',
    find: 'moves: toReturnMoves(book, reservation.allocations),',
    replace: 'moves: [],',
    tests: LEDGER,
  },
  {
    name: 'a commit keeps what it does not use',
    file: 'src/ledger/rules/commit.ts',
    find: 'final ? [...uncommitted, ...overageSpared] : overageSpared',
    replace: 'overageSpared',
    tests: LEDGER,
  },
  {
    name: 'a committed reservation is committed again for another amount',
    file: 'src/ledger/rules/commit.ts',
    find: 'if (asked !== reservation.endedAsking && asked !== creditsKey(reservation.committed))',
    replace: 'if (false)',
    tests: LEDGER,
  },
  {
    name: 'a reservation of a closed account is made',
    file: 'src/ledger/suspension.ts',
    find: "if (account.state === 'CLOSED') return accountClosed(book);",
    replace: '',
    tests: LEDGER,
  },
  {
    name: 'a reservation lives longer than asked',
    file: 'src/ledger/rules/reserve.ts',
    find: 'expiresAt: book.now + ttlMs,',
    replace: 'expiresAt: book.now + ttlMs + 1,',
    tests: LEDGER,
  },
  // Limits and allowances.
  {
    name: 'an account may hold more than int64',
    file: 'src/ledger/credit-limit.ts',
    find: 'if (held + credits > ACCOUNT_CREDITS_MAX)',
    replace: 'if (held < 0n)',
    tests: LEDGER,
  },
  {
    name: 'everything rolls over, whatever the limit',
    file: 'src/ledger/allowance.ts',
    find: 'expireBeyondRollover(book, rollover, origin);\n  const grant',
    replace: 'const grant',
    tests: LEDGER,
  },
  {
    name: 'the allowance of a period is granted twice',
    file: 'src/ledger/allowance.ts',
    find: 'account.allowanceDueAt = until;\n',
    replace: 'account.allowanceDueAt = from;\n',
    tests: ['test/ledger/allowance.test.ts'],
  },
  // Idempotency.
  {
    name: 'a request is replayed by its id alone',
    file: 'src/lanes/decide-task.ts',
    find: 'const isSame = request.fingerprint && Buffer.compare(request.fingerprint, fingerprint) === 0;',
    replace: 'const isSame = true;',
    tests: ['test/rpc/idempotency.test.ts', ...LANES],
  },
  {
    name: 'a fingerprint covers no labels',
    file: 'src/rpc/call/fingerprint.ts',
    find: '...(labels && { labels: sortLabels(labels) }),',
    replace: '...(labels && { labels: undefined }),',
    tests: ['test/rpc/fingerprint.test.ts', 'test/rpc/idempotency.test.ts'],
  },
  {
    name: 'a retry with its labels in another order is refused',
    file: 'src/rpc/call/fingerprint.ts',
    find: 'return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));',
    replace: 'return map;',
    tests: ['test/rpc/fingerprint.test.ts', 'test/rpc/idempotency.test.ts'],
  },
  {
    name: 'an expired request is carried out',
    file: 'src/lanes/decide-task.ts',
    find: 'if (notAfter !== null && notAfter < at)',
    replace: 'if (false)',
    tests: ['test/rpc/not-after.test.ts'],
  },
  {
    name: 'a request that was given up is carried out',
    file: 'src/lanes/decide-task.ts',
    find: 'if (request.isAbandoned())',
    replace: 'if (false)',
    tests: ['test/rpc/deadlines.test.ts', ...LANES],
  },
  // Lanes.
  {
    name: 'two units of work have the same account',
    file: 'src/lanes/lane.ts',
    find: 'this.#queue.filter(({ task }) => !this.#busyAccounts.has(task.accountId))',
    replace: 'this.#queue.filter(() => true)',
    tests: LANES,
  },
  {
    name: 'a failed commit is answered as if it had succeeded',
    file: 'src/lanes/unit-of-work.ts',
    find: 'await save(em, writes);',
    replace: 'await save(em, writes).catch(() => {});',
    tests: [...LANES, 'test/rpc/outages.test.ts', 'test/cluster'],
  },
  {
    name: 'tasks that were deferred go to the end of the queue',
    file: 'src/lanes/lane.ts',
    find: 'this.#queue.unshift(...undecided);',
    replace: 'this.#queue.push(...undecided);',
    tests: LANES,
  },
  {
    name: 'a long queue is served in its order, so that one account holds up all',
    file: 'src/lanes/lane.ts',
    find: 'isLong ? chooseInTurns(free, size) : free.slice(0, size)',
    replace: 'free.slice(0, size)',
    tests: LANES,
  },
  {
    name: 'requests that have waited too long are served',
    file: 'src/lanes/lane.ts',
    find: 'if (this.#queue.length > SECOND_UNIT_MIN_QUEUE) this.#refuseLate();',
    replace: '',
    tests: LANES,
  },
  {
    name: 'one caller gets everything',
    file: 'src/admission/admission.ts',
    find: 'return share < Math.max(',
    replace: 'return queue < limit || share < Math.max(',
    tests: ['test/admission'],
  },
  {
    name: 'accounts are not locked',
    file: 'src/store/load.ts',
    find: 'for no key update ',
    replace: 'for key share ',
    tests: ['test/cluster', ...LANES],
  },
  // The account cache.
  {
    name: 'a stale cached account is written',
    file: 'src/pg/bulk.ts',
    find: '.version = n.version - 1`,',
    replace: '.version > 0`,',
    tests: CACHE,
  },
  {
    name: 'a cached account is used on which something is due',
    file: 'src/account-cache/account-cache.ts',
    find: 'if (!packed || packed.isDue(now)) continue;',
    replace: 'if (!packed) continue;',
    tests: [...CACHE, 'test/lanes'],
  },
  {
    name: 'a failure on a cached account counts',
    file: 'src/lanes/decide-task.ts',
    find: 'if (unit.cached.has(accountId) && entries.length === before) {',
    replace: 'if (false) {',
    tests: [...CACHE, 'test/cluster'],
  },
  {
    name: 'an account stays cached after its transaction failed',
    file: 'src/lanes/unit-of-work.ts',
    find: 'context.cache.discard(cached);',
    replace: 'context.cache.store(cached, [...cached.values()]);',
    tests: [...CACHE, ...LANES],
  },
  // Store.
  {
    name: 'what is reserved of a grant is not updated',
    file: 'src/store/tables/grants.ts',
    find: "reserved: bigint('updated',",
    replace: "reserved: bigint('inserted',",
    tests: ['test/store', 'test/verify', 'test/rpc/reserve.test.ts'],
  },
  {
    name: 'a unit of work reads the grants that burn last',
    file: 'src/store/load-grants.ts',
    find: 'order by priority, grants.expires_at, paid, grant_id',
    replace: 'order by priority desc, grants.expires_at desc, paid, grant_id',
    tests: ['test/store', 'test/rpc/waterfall.test.ts', 'test/cluster/mixed-load.test.ts'],
  },
  {
    name: 'an expired reservation keeps its row active',
    file: 'src/store/load.ts',
    find: '} and expires_at <= ',
    replace: '} and expires_at < ',
    tests: ['test/sweeper'],
  },
  // The audit.
  {
    name: 'verify does not compare hashes',
    file: 'src/verify/chain.ts',
    find: 'if (!fitting && sealed.length > 0)',
    replace: 'if (false)',
    tests: VERIFY,
  },
  {
    name: 'verify does not compare the newest hash',
    file: 'src/verify/chain.ts',
    find: 'if (Buffer.compare(lastHash, this.#hash) !== 0)',
    replace: 'if (false)',
    tests: VERIFY,
  },
  {
    name: 'verify does not compare what remains of a grant',
    file: 'src/verify/grants.ts',
    find: 'if (remaining !== buckets.available + buckets.reserved)',
    replace: 'if (false)',
    tests: VERIFY,
  },
  {
    name: 'verify does not compare what is reserved of a grant',
    file: 'src/verify/grants.ts',
    find: 'if (reserved !== buckets.reserved)',
    replace: 'if (false)',
    tests: VERIFY,
  },
  {
    name: 'verify takes auto top-up for on after the service switched it off',
    file: 'src/verify/events.ts',
    find: 'if (autoTopUp !== null && disabledAt > since)',
    replace: 'if (false)',
    tests: VERIFY,
  },
  {
    name: 'verify does not compare the plan that prices the open month',
    file: 'src/verify/schedule.ts',
    find: 'if (this.#pricedBy !== null && statementPlanId !== this.#pricedBy)',
    replace: 'if (false)',
    tests: VERIFY,
  },
  // What callers send.
  {
    name: 'all compressed requests are decompressed at once',
    file: 'src/rpc/call/decompression.ts',
    find: 'pLimit(AT_ONCE)',
    replace: 'pLimit(1_000)',
    tests: ['test/rpc/message-limits.test.ts'],
  },
  {
    name: 'requests that never arrive as a whole are held for ever',
    file: 'src/rpc/call/message-limits.ts',
    find: 'else requests.add(this, data.length + PART_BYTES);',
    replace: '',
    tests: ['test/rpc/message-limits.test.ts'],
  },
  // Budgets.
  {
    name: 'a refund gives back to a period that is over',
    file: 'src/ledger/rules/refund.ts',
    find: '{ withinPeriod: true }',
    replace: '{ withinPeriod: false }',
    tests: ['test/ledger/budgets.test.ts'],
  },
  {
    name: 'a hard budget refuses only once it is exceeded',
    file: 'src/ledger/budget-counts.ts',
    find: 'return used + credits > (cap ?? MAX_CREDITS);',
    replace: 'return used > (cap ?? MAX_CREDITS);',
    tests: ['test/ledger/budgets.test.ts'],
  },
  {
    name: 'a raise counts in the period in which it is made',
    file: 'src/ledger/rules/raise-reservation.ts',
    find: 'planCounts(book, jobOf(reservation), addedBy(priced))',
    replace: 'planCounts(book, { ...jobOf(reservation), startedAt: book.now }, addedBy(priced))',
    tests: ['test/ledger/budgets.test.ts'],
  },
  {
    name: 'what a commit draws beyond its reservation does not count',
    file: 'src/ledger/budgeted-operations.ts',
    find: 'const credits = totalCredits(fromAvailable) - (final ?',
    replace: 'const credits = -(final ?',
    tests: ['test/ledger/budgets.test.ts'],
  },
  {
    name: 'a commit that was capped counts by its usages',
    file: 'src/ledger/budgeted-operations.ts',
    find: 'if (lines.length > 0 && credits === committed) return',
    replace: 'if (lines.length > 0) return',
    tests: ['test/ledger/budgets.test.ts'],
  },
  {
    name: 'a part of a refund gives back to each of several operations',
    file: 'src/ledger/budgeted-operations.ts',
    find: 'const others = committed - ofOne;',
    replace: 'const others = 0n;',
    tests: ['test/ledger/budgets.test.ts'],
  },
  // What is owed.
  {
    name: 'what TAKE cannot take is not owed',
    file: 'src/ledger/allocation/allocate.ts',
    find: 'return [...allocations, { grantId: OWED, credits: credits - paid }];',
    replace: 'return allocations;',
    tests: ['test/ledger/owed.test.ts'],
  },
  {
    name: 'credits for some operations pay what is owed',
    file: 'src/ledger/owed.ts',
    find: 'if (isLimited(grant)) continue;',
    replace: '',
    tests: ['test/ledger/owed.test.ts'],
  },
  {
    name: 'what pays what is owed pays it twice',
    file: 'src/ledger/owed.ts',
    find: 'left -= paid;',
    replace: '',
    tests: ['test/ledger/owed.test.ts'],
  },
  // Custom amounts.
  {
    name: 'fewer credits than the minimum are sold',
    file: 'src/ledger/rules/buy-pack.ts',
    find: 'if (credits < min || credits > max)',
    replace: 'if (credits > max)',
    tests: ['test/rpc/custom-amounts.test.ts', 'test/ledger/purchase.test.ts'],
  },
  {
    name: 'a custom amount is not checked where a tier begins',
    file: 'src/pricing/custom-amount.ts',
    find: '(upTo === null ? [] : [upTo, upTo + 1n])',
    replace: '(upTo === null ? [] : [])',
    tests: ['test/pricing/custom-amount.test.ts'],
  },
  // Time zones.
  {
    name: 'a new time zone changes the period that is running',
    file: 'src/ledger/periods/account-zone.ts',
    find: 'account.timeZones = [...before, { zone, at: now }];',
    replace: 'account.timeZones = [...before.slice(0, 0), { zone, at: now }];',
    tests: ['test/ledger/time-zone.test.ts', 'test/ledger/periods'],
  },
  {
    name: 'new zone data grant another allowance within hours',
    file: 'src/ledger/periods/period.ts',
    find: 'if (zones === null || until - from >= SHORTEST_MS)',
    replace: 'if (true)',
    tests: ['test/ledger/time-zone.test.ts', 'test/ledger/periods'],
  },
  // Shadow mode.
  {
    name: 'work of shadow mode is charged',
    file: 'src/lanes/decide-task.ts',
    find: 'if (shadowed) return shadowed;',
    replace: '',
    tests: ['test/rpc/shadow-mode.test.ts'],
  },
  {
    name: 'shadow mode begins again with what it had used',
    file: 'src/ledger/shadow/decide-in-shadow.ts',
    find: 'if (shadow.use.since !== since) shadow.use = beginAgain(shadow.use, since);',
    replace: '',
    tests: ['test/ledger/shadow.test.ts', 'test/rpc/shadow-mode.test.ts'],
  },
  {
    name: 'work that would have been refused uses a budget',
    file: 'src/ledger/shadow/decide-in-shadow.ts',
    find: '{ unlimited: true, uncounted: true, restored }',
    replace: '{ unlimited: false, uncounted: true, restored }',
    tests: ['test/ledger/shadow.test.ts', 'test/rpc/shadow-mode.test.ts'],
  },
  {
    name: 'a budget counts jobs of shadow mode that began before it',
    file: 'src/ledger/budget-counts.ts',
    find: 'startSeq > sinceDecision;',
    replace: 'startSeq > 0n;',
    tests: ['test/ledger/shadow.test.ts'],
  },
  {
    name: 'an atomic batch that would have been refused uses credits in shadow mode',
    file: 'src/lanes/decide-atomic-batch.ts',
    find: 'if (refusals) {',
    replace: 'if (refusals && trial.someAreKnown) {',
    tests: ['test/rpc/shadow-mode.test.ts'],
  },
  // Slots that move to another cell.
  {
    name: 'a cell makes accounts in slots that it has given away',
    file: 'src/slot-moves/guard.ts',
    find: '} is true or exists (',
    replace: '} is true or true or exists (',
    tests: ['test/slot-moves/stale-replica.test.ts'],
  },
  {
    name: 'a move does not stop writes before it switches',
    file: 'src/slot-moves/guard.ts',
    find: "where phase in ('STOPPED', 'SWITCHED')",
    replace: "where phase in ('SWITCHED')",
    tests: ['test/slot-moves/stale-replica.test.ts'],
  },
  // The archive.
  {
    name: 'the first entry of the next month is archived',
    file: 'src/archiver/candidates.ts',
    find: 'select e.seq - 1 from entries e',
    replace: 'select e.seq from entries e',
    tests: ['test/archive'],
  },
  {
    name: 'requests of archived entries are forgotten',
    file: 'src/archiver/finish-part.ts',
    find: 'else keys.set(accountId, [key]);',
    replace: '',
    tests: ['test/archive/refusals.test.ts'],
  },
  {
    name: 'a checkpoint seals another hash than that of the last archived entry',
    file: 'src/archiver/finish-part.ts',
    find: "Buffer.from(hash).toString('hex')",
    replace: "Buffer.alloc(hash.length).toString('hex')",
    tests: ['test/archive/border.test.ts'],
  },
  {
    name: 'the last archived entry is refunded',
    file: 'src/ledger/rules/refund.ts',
    find: 'command.seq <= archivedSeq',
    replace: 'command.seq < archivedSeq',
    tests: ['test/archive/refusals.test.ts', 'test/ledger/refund.test.ts'],
  },
  // Roll-forwards.
  {
    name: 'movements are worth what their grant held after them',
    file: 'src/roll-forward/count-sql.ts',
    find: 'rows between unbounded preceding and 1 preceding',
    replace: 'rows between unbounded preceding and current row',
    tests: ['test/roll-forward/count.test.ts'],
  },
  {
    name: 'two who count at the same time count the same movements',
    file: 'src/roll-forward/count.ts',
    find: 'order by account_id for update ',
    replace: 'order by account_id -- ',
    tests: ['test/roll-forward/count.test.ts'],
  },
  // Time.
  {
    name: 'not_after is compared with the time before the account was locked',
    file: 'src/lanes/unit-of-work.ts',
    find: 'decideAll(unit, tasks, record, context.clock.now())',
    replace: 'decideAll(unit, tasks, record, now)',
    tests: ['test/rpc/not-after.test.ts'],
  },
];
