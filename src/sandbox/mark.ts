/**
 * What makes a database a sandbox's: the schema `sandbox`, which no other database has. It is made once, before
 * anything else is, and stays: a service refuses a database of the other kind.
 */
import { isSandbox } from '../clock/clock-records.ts';
import { connectAsOwner, migrate, pendingMigrations } from '../pg/migrate.ts';
import type { Em } from '../pg/orm.ts';

/** A database that a start cannot use, with what to do instead. */
export class WrongDatabase extends Error {}

const ANSWER_TIMEOUT_MS = 60_000;
/** The key of an advisory lock; nothing else uses this number. */
const MARK_LOCK = 5_347_263;

const SCHEMA = `
create schema if not exists sandbox;
comment on schema sandbox is 'Not for production: the clock of this database is moved by hand.';

create table if not exists sandbox.clock (
  is_only boolean primary key default true check (is_only),
  offset_ms bigint not null check (offset_ms >= 0)
);
comment on table sandbox.clock is 'One row: how far the time of the sandbox is ahead of the database''s clock.';

create table if not exists sandbox.payment_objects (
  id text primary key,
  version bigint not null,
  body jsonb not null
);
create index if not exists payment_objects_by_version on sandbox.payment_objects (version);
comment on table sandbox.payment_objects is 'What the test payment provider knows, as its API shows it.';

create table if not exists sandbox.payment_webhooks (
  id bigint generated always as identity primary key,
  body text not null
);
comment on table sandbox.payment_webhooks is 'Webhooks that no service has processed yet.';

insert into sandbox.clock (offset_ms) values (0) on conflict do nothing;
`;

/** After the migrations, which make the role. */
const PRIVILEGES = `
grant usage on schema sandbox to scrip_runtime;
grant select, update (offset_ms) on sandbox.clock to scrip_runtime;
grant select, insert, update on sandbox.payment_objects to scrip_runtime;
grant select, insert, delete on sandbox.payment_webhooks to scrip_runtime;
`;

/** Whether the database is a sandbox's. The URL is that of any role. */
export const isMarked = (url: string): Promise<boolean> => withOwner(url, isSandbox);

/**
 * Makes a new database a sandbox's, or brings one up to date that is. Throws WrongDatabase for a database that
 * has a schema already: what is in it may be real.
 */
export async function prepareSandbox(ownerUrl: string): Promise<void> {
  await oneByOne(ownerUrl, async (tx) => {
    if (!(await isSandbox(tx)) && (await hasTables(tx)))
      throw new WrongDatabase(
        'the database is not a sandbox: a sandbox begins with an empty database, and is one for ever',
      );
    await tx.execute(SCHEMA);
  });
  if ((await pendingMigrations(ownerUrl)).length > 0) await migrate(ownerUrl);
  // Two grants on one table at a time: PostgreSQL refuses one of them.
  await oneByOne(ownerUrl, (tx) => tx.execute(PRIVILEGES));
}

/** A transaction that waits for those of others who make the same database a sandbox's. */
const oneByOne = (ownerUrl: string, use: (tx: Em) => Promise<unknown>): Promise<unknown> =>
  withOwner(ownerUrl, (em) =>
    em.transactional(async (tx) => {
      await tx.execute(`select pg_advisory_xact_lock(${MARK_LOCK})`);
      return await use(tx);
    }),
  );

async function hasTables(em: Em): Promise<boolean> {
  const rows = await em.execute(
    "select 1 from pg_class where relnamespace = 'public'::regnamespace limit 1",
  );
  return rows.length > 0;
}

async function withOwner<Result>(url: string, use: (em: Em) => Promise<Result>): Promise<Result> {
  const orm = await connectAsOwner(url, {}, ANSWER_TIMEOUT_MS);
  try {
    return await use(orm.em.fork());
  } finally {
    await orm.close();
  }
}
