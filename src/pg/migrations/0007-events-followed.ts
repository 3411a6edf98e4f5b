import { Migration } from '@mikro-orm/migrations';

/**
 * Limits of an account, one order of all events, and their deliveries.
 *
 * Within an account events have a `seq`. Over all accounts they get a `position` after their transaction
 * has committed, so that no reader misses an event that commits late. It is the only column of an event
 * that is ever updated, and the only one that the service has the privilege to update.
 */
export class Migration0007EventsFollowed extends Migration {
  override up() {
    this.#accounts();
    this.#events();
    this.#deliveries();
  }

  #accounts() {
    this.addSql(`
      alter table accounts
        add column low_balance_threshold bigint,
        add column pause_floor bigint,
        add column event_count bigint,
        add constraint accounts_low_balance_threshold_check check (low_balance_threshold >= 0),
        add constraint accounts_pause_floor_check check (pause_floor >= 0),
        add constraint accounts_event_count_check check (event_count >= 0)`);
    this.addSql(`
      update accounts set event_count =
        (select count(*) from events where events.account_id = accounts.account_id)`);
    this.addSql(`alter table accounts alter column event_count set not null`);
  }

  #events() {
    this.addSql(`
      alter table events
        add column seq bigint,
        add column position bigint,
        add constraint events_seq_check check (seq > 0),
        add constraint events_position_check check (position > 0)`);
    this.addSql(`
      update events set seq = numbered.seq
      from (
        select account_id, event_id,
          row_number() over (partition by account_id order by at, event_id) as seq
        from events
      ) numbered
      where events.account_id = numbered.account_id and events.event_id = numbered.event_id`);
    this.addSql(`alter table events alter column seq set not null`);
    this.addSql(`create index events_waiting on events (account_id, seq) where position is null`);
    this.addSql(`create index events_by_position on events (position)`);
    this.addSql(`create index events_of_account on events (account_id, position)`);
    this.addSql(`grant update (position) on events to scrip_runtime`);
    this.addSql(`
      create table event_cursors (
        name     text   not null primary key,
        position bigint
      )`);
    this.addSql(`insert into event_cursors values ('assigned', 0), ('enqueued', null)`);
    this.addSql(`grant select, update on event_cursors to scrip_runtime`);
  }

  #deliveries() {
    this.addSql(`
      create table deliveries (
        account_id      text           not null,
        event_id        uuid           not null,
        position        bigint         not null,
        state           text           not null,
        attempts        int            not null,
        due_at          timestamptz(3),
        last_attempt_at timestamptz(3),
        last_error      text           not null,
        ended_at        timestamptz(3),
        primary key (account_id, event_id),
        constraint deliveries_state_check check (state in ('PENDING', 'DELIVERED', 'DEAD')),
        constraint deliveries_attempts_check check (attempts >= 0),
        constraint deliveries_due_check check ((state = 'PENDING') = (due_at is not null)),
        constraint deliveries_end_check check ((state = 'PENDING') = (ended_at is null))
      ) with (fillfactor = 70)`);
    this.addSql(`create index deliveries_due on deliveries (due_at) where due_at is not null`);
    this.addSql(`create index deliveries_by_position on deliveries (position)`);
    this.addSql(`create index deliveries_by_state on deliveries (state, position)`);
    this.addSql(`grant select, insert, update on deliveries to scrip_runtime`);
  }
}
