/**
 * What is archived of an account: checkpoints name an entry before them and its hash, and no row has left the table that
 * none of them covers. The requests of archived entries are remembered, and no others.
 */
import type { Account } from '../ledger/account.ts';
import type { StoredEntry } from '../ledger/entry.ts';
import type { Row } from '../pg/table.ts';
import { KIND_CODES, METHOD_CODES } from '../store/tables/codes.ts';
import {
  archivedRequestKey,
  REQUEST_KEY_BYTES,
  requestIdToBytes,
} from '../store/tables/request-id.ts';
import type { AccountGroup } from './account-group.ts';
import { findAccount, groupRows } from './account-group.ts';
import type { ArchivedAccount } from './archive.ts';
import { readCount } from './erasure.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import type { Snapshot } from './snapshot.ts';

export class Checkpoints {
  readonly #archived: ArchivedAccount | null;
  readonly #filedSeq: bigint;
  /** The entries that checkpoints name. */
  readonly #named: ReadonlySet<bigint>;
  readonly #hashes = new Map<bigint, string>();
  readonly #requests = new RequestSum();
  #archivedSeq: bigint | null = null;
  #at: number | null = null;

  /** `filedSeq`: of the last entry that files have. */
  constructor(archived: ArchivedAccount | null, filedSeq: bigint, named: ReadonlySet<bigint>) {
    this.#archived = archived;
    this.#filedSeq = filedSeq;
    this.#named = named;
  }

  /** Checks the account's next entry. */
  apply({ seq, at, kind, hash, details, request, requestId }: StoredEntry, report: Report) {
    const { seq: leftSeq = 0n, requestsSeq = 0n } = this.#archived ?? {};
    if (this.#named.has(seq)) this.#hashes.set(seq, Buffer.from(hash).toString('hex'));
    if (seq === leftSeq) this.#at = at;
    if (request && seq <= requestsSeq)
      this.#requests.add(
        archivedRequestKey(METHOD_CODES[request.method], requestIdToBytes(requestId)),
      );
    if (kind !== 'CHECKPOINT') return;
    const archivedSeq = BigInt(readCount(details['archived_seq']));
    if (archivedSeq <= (this.#archivedSeq ?? 0n))
      report(`archives entries up to ${archivedSeq}, one before it up to ${this.#archivedSeq}`);
    if (archivedSeq >= seq) report(`archives entry ${archivedSeq}, which is not before it`);
    else if (this.#hashes.get(archivedSeq) !== details['archived_hash'])
      report(`its archived_hash is not the hash of entry ${archivedSeq}`);
    this.#archivedSeq = archivedSeq;
  }

  /** Compares the rows of the account. `requests` are its rows of `archived_requests`, in their order. */
  finish({ archivedSeq }: Account, requests: readonly Row[], report: Report) {
    const said = this.#archivedSeq;
    if (archivedSeq !== said)
      report(`archived_seq is ${archivedSeq ?? 'none'}, the checkpoints say ${said ?? 'none'}`);
    const archived = this.#archived;
    if (archived && archived.seq > (said ?? 0n))
      report(`entries up to ${archived.seq} have left, the checkpoints say ${said ?? 'none'}`);
    if (archived && archived.at !== this.#at)
      report(
        `the time of archived entry ${archived.seq} is ${archived.at === null ? 'none' : instant(archived.at)}, its entry says ${this.#at === null ? 'none' : instant(this.#at)}`,
      );
    // Requests are remembered file by file, before the checkpoint.
    if (archived && ![said ?? 0n, this.#filedSeq].includes(archived.requestsSeq))
      report(
        `requests of entries up to ${archived.requestsSeq} are remembered, files have entries up to ${this.#filedSeq}`,
      );
    const stated = new RequestSum();
    let before: Buffer = Buffer.alloc(0);
    for (const row of requests) {
      const keys: Buffer = row['keys']!;
      if (!keys.subarray(0, REQUEST_KEY_BYTES).equals(row['first_key']!))
        report('a row of archived_requests does not begin with its first_key');
      for (let from = 0; from < keys.length; from += REQUEST_KEY_BYTES) {
        const key = keys.subarray(from, from + REQUEST_KEY_BYTES);
        if (Buffer.compare(key, before) <= 0) report('archived_requests are not in their order');
        before = key;
        stated.add(key);
      }
    }
    if (!stated.equals(this.#requests))
      report('archived_requests are not the requests of its archived entries');
  }
}

/** A sum of keys, and their number: two sets have the same if they are the same, whatever their order. */
class RequestSum {
  #count = 0;
  #sum = 0n;

  add(key: Uint8Array) {
    this.#count += 1;
    this.#sum += BigInt(`0x${Buffer.from(key).toString('hex')}`);
  }

  equals(other: RequestSum): boolean {
    return this.#count === other.#count && this.#sum === other.#sum;
  }
}

const NONE: ReadonlySet<bigint> = new Set();

/** The checks of each account; all entries are passed to them. */
export async function loadCheckpoints(
  group: AccountGroup,
): Promise<(accountId: string) => Checkpoints> {
  const { snapshot, accounts, archived, filed } = group;
  for (const accountId of archived.keys())
    if (!accounts.has(accountId))
      group.findings.add(accountId, 'is archived, but there is no such account');
  const isCovered = [...accounts.values()].some(({ archivedSeq }) => archivedSeq !== null);
  const hasAny = archived.size > 0 || isCovered;
  const named = hasAny ? await loadNamed(snapshot) : new Map<string, Set<bigint>>();
  return (accountId) =>
    new Checkpoints(
      archived.get(accountId) ?? null,
      filed.get(accountId) ?? 0n,
      named.get(accountId) ?? NONE,
    );
}

async function loadNamed(snapshot: Snapshot): Promise<ReadonlyMap<string, ReadonlySet<bigint>>> {
  const named = new Map<string, Set<bigint>>();
  const rows = snapshot.rows(
    (inRange) =>
      `select account_id, content -> 'd' ->> 'archived_seq' as archived_seq from entries
       where ${inRange('account_id')} and kind = ${KIND_CODES.CHECKPOINT}`,
  );
  for await (const row of rows) {
    const ofAccount = named.get(row['account_id']!) ?? new Set();
    ofAccount.add(BigInt(readCount(row['archived_seq'])));
    named.set(row['account_id']!, ofAccount);
  }
  return named;
}

/** Rows of `archived_requests`, by account. */
export async function loadArchivedRequests(
  group: AccountGroup,
): Promise<ReadonlyMap<string, readonly Row[]>> {
  const found = new Map<string, readonly Row[]>();
  const rows = group.snapshot.rows(
    (inRange) =>
      `select account_id, first_key, keys from archived_requests
       where ${inRange('account_id')} order by account_id, first_key`,
  );
  for await (const ofAccount of groupRows(rows, 'account_id')) {
    const account = findAccount(group, ofAccount[0], 'archived requests');
    if (account) found.set(account.accountId, ofAccount);
  }
  return found;
}
