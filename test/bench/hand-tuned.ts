/**
 * The hand-tuned baseline: one prepared call of one PL/pgSQL function per operation, over a connection
 * pool, without RPC.
 */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { sha256 } from '../../src/sha256.ts';
import { accounts } from './ledger.ts';
import type { Source } from './load.ts';
import { accountId, type Operation } from './load-spec.ts';

const CALL = 'select bench_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)';

/** The priced usage of UPSCALE in requests.ts, as entries have it. */
const USAGES = '[["image.upscale",1,20,{"scale_factor":4}]]';

const FINGERPRINT_BYTES = 16;

export const reserveStatement = (account: string, requestId: string) => ({
  name: 'reserve',
  text: CALL,
  values: [
    ...[account, requestId],
    sha256(`${account}${requestId}${USAGES}`).subarray(0, FINGERPRINT_BYTES),
    ...[20, USAGES, 1, '1 day', 'job-20261104', 'bench'],
    ...['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'],
  ],
});

/** The accounts live under one plan, in its first version. */
const HASHES = `
  select encode(v.hash, 'hex') as terms, encode(r.hash, 'hex') as card
  from plan_versions v join rate_cards r using (plan_id, version)
  where version = 1 and plan_id = $1`;

export async function installHandTuned(databaseUrl: string) {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    const sql = await readFile(new URL('hand-tuned.sql', import.meta.url), 'utf8');
    const { rows } = await client.query(HASHES, [accounts.hot.planId]);
    const { terms, card } = rows[0];
    await client.query(sql.replace('TERMS_HASH', terms).replace('RATE_CARD_HASH', card));
  } finally {
    await client.end();
  }
}

export async function functionSource(
  databaseUrl: string,
  { accounts, pool: max }: Extract<Operation, { kind: 'function' }>,
): Promise<Source> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max });
  const clients = await Promise.all(Array.from({ length: max }, () => pool.connect()));
  for (const client of clients) client.release();
  return {
    start(done) {
      const account = accountId(accounts, Math.floor(Math.random() * accounts.count));
      pool.query(reserveStatement(account, randomUUID())).then(
        () => done(1),
        (error: Error) => done(0, error),
      );
      return true;
    },
    close: () => pool.end(),
  };
}
