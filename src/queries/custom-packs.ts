/** The packs that are offered to single accounts. */
import { setImmediate } from 'node:timers/promises';
import type { CustomPack } from '../ledger/custom-pack.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { customPacks } from '../store/tables/custom-packs.ts';

type ByAccount = ReadonlyMap<string, readonly CustomPack[]>;

/**
 * Reads all accounts that are asked for in one iteration of the event loop with one query. The refusals of a
 * unit of work come together, and a refusal must stay cheap.
 */
export class CustomPacks {
  readonly #em: () => Em;
  #asked = new Set<string>();
  /** The query that `#asked` waits for; null while nothing is asked for. */
  #next: Promise<ByAccount> | null = null;

  constructor(em: () => Em) {
    this.#em = em;
  }

  /** The custom packs on offer to an account, by name. */
  async find(accountId: string): Promise<readonly CustomPack[]> {
    this.#asked.add(accountId);
    this.#next ??= this.#readSoon();
    const found = await this.#next;
    return found.get(accountId) ?? [];
  }

  async #readSoon(): Promise<ByAccount> {
    await setImmediate();
    const accountIds = [...this.#asked];
    this.#asked = new Set();
    this.#next = null;
    return await readCustomPacks(this.#em(), accountIds);
  }
}

async function readCustomPacks(em: Em, accountIds: readonly string[]): Promise<ByAccount> {
  const rows = await query<Row>(
    em,
    `select ${customPacks.selectList} from custom_packs
     where account_id = any($1::text[]) and withdrawn_at is null order by pack_id`,
    [accountIds],
  );
  return Map.groupBy(rows.map(customPacks.read), ({ accountId }) => accountId);
}
