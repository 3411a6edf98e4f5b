import { Migration } from '@mikro-orm/migrations';

/** Moves of slots from one cell to another, and restores from a backup. */
export class Migration0008SlotMoves extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table events
  drop constraint events_position_check,
  add constraint events_position_check check (position <> 0);

create table moved_events (
  account_id text not null,
  event_id   uuid not null,
  position   bigint not null,
  primary key (account_id, event_id),
  constraint moved_events_position_check check (position > 0)
);
create index moved_events_by_position on moved_events (position);
create index moved_events_of_account on moved_events (account_id, position);
grant select on moved_events to scrip_runtime;

create table slot_moves (
  move_id    uuid not null,
  from_cell  text not null,
  to_cell    text not null,
  slots      jsonb not null,
  phase      text not null,
  started_at timestamptz(3) not null,
  primary key (move_id),
  constraint slot_moves_phase_check check (phase in ('COPYING', 'STOPPING', 'STOPPED', 'SWITCHED'))
);
grant select on slot_moves to scrip_runtime;

create table cell_replicas (
  replica_id  uuid not null,
  move_id     uuid not null,
  phase       text not null,
  map_version int not null,
  seen_at     timestamptz(3) not null,
  primary key (replica_id)
) with (fillfactor = 70);
grant select, insert, update (move_id, phase, map_version, seen_at) on cell_replicas to scrip_runtime;

create table restores (
  restore_id  uuid not null,
  restored_at timestamptz(3) not null,
  primary key (restore_id)
);
grant select on restores to scrip_runtime;

create function account_slot(id text) returns int
  immutable strict parallel safe
  return ('x' || left(encode(sha256(convert_to(id, 'UTF8')), 'hex'), 3))::bit(12)::int;
`;
