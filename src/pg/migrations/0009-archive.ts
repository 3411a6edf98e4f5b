import { Migration } from '@mikro-orm/migrations';

/** The archive: its files, how far accounts are in them, the requests of archived entries, and the role that deletes these. */
export class Migration0009Archive extends Migration {
  override up() {
    this.#archiverRole();
    this.addSql(SCHEMA);
  }

  /** Roles belong to the database cluster: this one may exist already. Who migrates may grant it to logins. */
  #archiverRole() {
    this.addSql(`
      do $$ begin
        create role scrip_archiver nologin;
      exception when duplicate_object or unique_violation then null;
      end $$`);
    this.addSql(`
      do $$ begin
        execute format('grant scrip_archiver to %I', current_user);
        execute format('grant usage on schema %I to scrip_archiver', current_schema);
      end $$`);
    this.addSql('grant select on schema_migrations to scrip_archiver');
  }
}

const SCHEMA = `\
alter table accounts add archived_seq bigint;
grant update (archived_seq) on accounts to scrip_runtime;

create table archive_files (
  name text not null,
  month text not null,
  part int not null,
  first_account text not null,
  last_account text not null,
  entries bigint not null,
  bytes bigint not null,
  sha256 bytea not null,
  finished_at timestamptz(3),
  primary key (name),
  constraint archive_files_entries_check check (entries > 0)
);
grant select on archive_files to scrip_runtime;

create table archived_accounts (
  account_id text not null,
  seq bigint not null,
  at timestamptz(3),
  requests_seq bigint not null,
  key bytea,
  primary key (account_id),
  constraint archived_accounts_seq_check check (seq >= 0 and requests_seq >= seq)
);
alter table archived_accounts alter column key set statistics 0;
grant select on archived_accounts to scrip_runtime;

create table archived_requests (
  account_id text not null,
  first_key bytea not null,
  keys bytea not null,
  primary key (account_id, first_key),
  constraint archived_requests_keys_check check (length(keys) > 0 and length(keys) % 16 = 0)
);
alter table archived_requests alter column keys set statistics 0;
grant select on archived_requests to scrip_runtime;

grant select on accounts, statements, usage_positions, reservations to scrip_archiver;
grant select, delete on entries to scrip_archiver;
grant select, insert, update (finished_at) on archive_files to scrip_archiver;
grant select, insert, update (seq, at, requests_seq) on archived_accounts to scrip_archiver;
grant select, insert, delete on archived_requests to scrip_archiver;
`;
