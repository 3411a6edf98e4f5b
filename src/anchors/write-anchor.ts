/** Writes an anchor of all accounts to a directory, and sends its root and count over OTLP logs. */
import { join } from 'node:path';
import { logs, SeverityNumber } from '@opentelemetry/api';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import {
  type AnchoredAccount,
  type AnchoredPlan,
  type AnchorSummary,
  writeAnchorFile,
} from './anchor-file.ts';
import type { SigningKey } from './anchor-key.ts';

/** Accounts per read. Each is a short query of its own: an entry that is hashed never changes. */
const PAGE_SIZE = 10_000;

export type WrittenAnchor = AnchorSummary & { readonly file: string };

export async function writeAnchor(
  em: () => Em,
  directory: string,
  key: SigningKey,
  at: Date,
): Promise<WrittenAnchor> {
  const name = `anchor-${at.toISOString().replaceAll(':', '-')}.jsonl.gz`;
  const file = join(directory, name);
  const summary = await writeAnchorFile(file, at, await plansOf(em), accountsOf(em), key);
  send(summary, name);
  return { ...summary, file };
}

async function plansOf(em: () => Em): Promise<readonly AnchoredPlan[]> {
  return await query<AnchoredPlan>(
    em(),
    `select plan_id as "planId", p.revision, encode(p.hash, 'hex') as hash,
       v.version, encode(v.hash, 'hex') as "versionHash",
       r.version as "rateCard", encode(r.hash, 'hex') as "rateCardHash"
     from plans p
     join plan_versions v using (plan_id, version)
     join lateral (
       select version, hash from rate_cards where plan_id = p.plan_id order by version desc limit 1
     ) r on true
     order by plan_id`,
    [],
  );
}

type AccountRow = { readonly account_id: string; readonly seq: string; readonly hash: string };

async function* accountsOf(em: () => Em): AsyncGenerator<AnchoredAccount> {
  for (let after = ''; ; ) {
    const rows = await query<AccountRow>(
      em(),
      `select account_id, seq::text as seq, encode(last_hash, 'hex') as hash from accounts where account_id > $1 order by account_id limit $2`,
      [after, PAGE_SIZE],
    );
    for (const { account_id: accountId, seq, hash } of rows)
      yield { accountId, seq: BigInt(seq), hash: Buffer.from(hash, 'hex') };
    const last = rows.at(-1);
    if (!last || rows.length < PAGE_SIZE) return;
    after = last.account_id;
  }
}

/** A collector that keeps logs elsewhere is one more place where the root is kept. */
function send({ at, accounts, root, keyId }: AnchorSummary, name: string) {
  logs.getLogger('scrip').emit({
    timestamp: at,
    severityNumber: SeverityNumber.INFO,
    severityText: 'INFO',
    body: 'anchor',
    attributes: {
      'scrip.anchor.file': name,
      'scrip.anchor.root': root,
      'scrip.anchor.accounts': accounts,
      'scrip.anchor.key_id': keyId,
    },
  });
}
