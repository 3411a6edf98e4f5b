/** Rows beside the entries, read along with them. */
import type { Row } from '../pg/table.ts';
import type { AccountGroup } from './account-group.ts';
import type { InRange } from './snapshot.ts';

/** The rows of a query, account by account, in the order of the accounts of the group. */
export class RowsByAccount {
  readonly #rows: AsyncGenerator<Row, void, void>;
  readonly #places: ReadonlyMap<string, number>;
  readonly #onPassed: (row: Row) => void;
  #next: Row | null = null;
  #hasBegun = false;

  /** `onPassed` is called with the rows of accounts that nobody asks for. */
  constructor(
    { snapshot, accounts }: AccountGroup,
    query: (inRange: InRange) => string,
    onPassed: (row: Row) => void,
  ) {
    this.#rows = snapshot.rows(query);
    this.#places = new Map([...accounts.keys()].map((accountId, place) => [accountId, place]));
    this.#onPassed = onPassed;
  }

  /** Accounts must be asked for in their order. */
  async of(accountId: string): Promise<readonly Row[]> {
    const place = this.#places.get(accountId) ?? 0;
    const found: Row[] = [];
    for (let row = await this.#peek(); row; row = await this.#advance()) {
      if (row['account_id'] === accountId) found.push(row);
      else if ((this.#places.get(row['account_id']!) ?? -1) > place) break;
      else this.#onPassed(row);
    }
    return found;
  }

  async finish() {
    for (let row = await this.#peek(); row; row = await this.#advance()) this.#onPassed(row);
  }

  async #peek(): Promise<Row | null> {
    return this.#hasBegun ? this.#next : await this.#advance();
  }

  async #advance(): Promise<Row | null> {
    this.#hasBegun = true;
    const { value, done } = await this.#rows.next();
    this.#next = done ? null : value;
    return this.#next;
  }
}
