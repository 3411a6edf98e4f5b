/**
 * The hashes of events: each over its row and the statement that it says was closed, and those that entries state
 * over all events since the entry before. Events that no entry covers yet have theirs in the account's row.
 */
import type { Account } from '../ledger/account.ts';
import { addToSeal, eventDataHash, eventHash } from '../ledger/event-hash.ts';
import type { Row } from '../pg/table.ts';
import { events as table } from '../store/tables/events.ts';
import type { EventSeal } from './account-group.ts';
import type { Report } from './findings.ts';

export class EventSeals {
  readonly #seals: readonly EventSeal[];
  /** Of the seal that covers the next event. */
  #next = 0;
  #hash: string | null = null;

  constructor(seals: readonly EventSeal[]) {
    this.#seals = seals;
  }

  /** Checks the account's next event. `reportAccount` reports what is wrong with the entry that covers it. */
  apply(row: Row, report: Report, reportAccount: Report) {
    const event = table.read(row);
    const statement = event.type === 'statement.closed' ? statementOf(row) : null;
    const hash: Uint8Array = row['hash']!;
    const [salt, dataHash]: readonly [Uint8Array | null, Uint8Array] = [
      row['salt'] ?? null,
      row['data_hash']!,
    ];
    // Without a salt they are erased.
    const hasOtherData =
      salt !== null && Buffer.compare(eventDataHash(event.data, salt), dataHash) !== 0;
    if (hasOtherData || Buffer.compare(eventHash(event, dataHash, statement), hash) !== 0)
      report(
        statement === null
          ? 'its hash is not that of what it says'
          : `its hash is not that of what it says and of statement ${row['month']}`,
      );
    this.#hash = addToSeal(this.#hash, hash);
    const seal = this.#seals[this.#next];
    if (seal?.upTo !== event.seq) return;
    if (seal.hash !== this.#hash)
      reportAccount(
        `entry ${seal.entrySeq}: the events up to ${seal.upTo} are not those it covers`,
      );
    this.#next += 1;
    this.#hash = null;
  }

  finish({ eventsHash }: Account, report: Report) {
    for (const { entrySeq, upTo } of this.#seals.slice(this.#next))
      report(`entry ${entrySeq}: covers event ${upTo}, which is not there`);
    if (eventsHash !== this.#hash)
      report(`events_hash is ${eventsHash ?? 'none'}, the events say ${this.#hash ?? 'none'}`);
  }
}

/** As `sealedStatement` has it; its content may be any JSON. Null: it is not there. */
function statementOf(row: Row): unknown {
  if (row['month'] === null) return null;
  const { currency, total }: { readonly [name: string]: string | null } = row;
  return [
    row['plan_id'],
    row['closed_at'],
    BigInt(row['after_seq']!),
    BigInt(row['last_seq']!),
    BigInt(row['overage']!),
    currency === null ? null : { currency, amount: total },
    row['content'],
  ];
}
