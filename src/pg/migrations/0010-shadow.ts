import { Migration } from '@mikro-orm/migrations';

/** Shadow mode: what is used of an account is decided and recorded, and moves nothing. */
export class Migration0010Shadow extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table accounts add shadow jsonb;
alter table accounts alter column shadow set statistics 0;
grant update (shadow) on accounts to scrip_runtime;
create index accounts_in_shadow on accounts (account_id)
  where shadow is not null and shadow ->> 'until' is null;

create table shadow_use (
  account_id text not null,
  since timestamptz(3) not null,
  seq bigint not null,
  since_seq bigint not null,
  used json not null,
  primary key (account_id)
) with (fillfactor = 70);
grant select, insert, update (since, seq, since_seq, used) on shadow_use to scrip_runtime;

create table shadow_decisions (
  account_id text not null,
  seq bigint not null,
  at timestamptz(3) not null,
  credits bigint not null,
  available_after bigint not null,
  refunded_seq bigint,
  plan_version int not null,
  rate_card_version int,
  kind smallint not null,
  method smallint,
  reservation_id uuid,
  plan_id text not null,
  caller text not null,
  request_id bytea,
  trace_id uuid,
  content json not null,
  fingerprint bytea,
  response bytea,
  reference text,
  labels json,
  refusal json,
  primary key (account_id, seq),
  constraint shadow_decisions_seq_check check (seq > 1000000000000000)
);
alter table shadow_decisions
  alter column content set statistics 0,
  alter column fingerprint set statistics 0,
  alter column response set statistics 0,
  alter column labels set statistics 0,
  alter column refusal set statistics 0;
create unique index shadow_decisions_request on shadow_decisions (request_id, account_id, method)
  where method is not null;
create index shadow_decisions_by_reservation on shadow_decisions (reservation_id)
  where reservation_id is not null;
create index shadow_decisions_by_refunded on shadow_decisions (account_id, refunded_seq)
  where refunded_seq is not null;
grant select, insert on shadow_decisions to scrip_runtime;

create table shadow_reservations (
  account_id text not null,
  reservation_id uuid not null,
  state text not null,
  expires_at timestamptz(3) not null,
  job json not null,
  start json not null,
  primary key (account_id, reservation_id)
);
alter table shadow_reservations
  alter column job set statistics 0,
  alter column start set statistics 0;
create index shadow_reservations_active on shadow_reservations (account_id, expires_at)
  where state = 'ACTIVE';
grant select, insert, update (state, expires_at, job) on shadow_reservations to scrip_runtime;
`;
