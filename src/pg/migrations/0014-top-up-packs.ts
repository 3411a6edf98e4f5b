import { Migration } from '@mikro-orm/migrations';

/** A top-up buys as many packs as are needed. An auto top-up knows whether its pack is a custom one. */
export class Migration0014TopUpPacks extends Migration {
  override up() {
    this.addSql(`
      alter table purchases
        add column quantity int not null default 1,
        add constraint purchases_quantity_check check (quantity > 0)`);
    this.addSql(`alter table purchases alter column quantity drop default`);
    this.addSql(`
      update accounts set auto_top_up = auto_top_up || jsonb_build_object(
        'on_refusal', false,
        'custom_pack', not exists (
          select from plans, jsonb_array_elements(plans.terms -> 'packs') pack
          where plans.plan_id = accounts.plan_id
            and pack ->> 'pack_id' = accounts.auto_top_up ->> 'pack_id'))
      where auto_top_up is not null`);
    this.addSql(
      `create index accounts_auto_top_up on accounts (plan_id, account_id) where auto_top_up is not null`,
    );
    this.addSql(`
      update accounts set top_ups = top_ups || '{"refusal": null}' where top_ups is not null`);
  }
}
