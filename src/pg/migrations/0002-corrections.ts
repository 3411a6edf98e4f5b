import { Migration } from '@mikro-orm/migrations';

/** Grants of which credits were voided or whose terms were changed, and suspended accounts. */
export class Migration0002Corrections extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table grants
  add voided bigint,
  add void_on_return bigint,
  add constraint grants_voided_check check (
    voided > 0 and voided <= amount - remaining and void_on_return > 0
  ),
  drop constraint grants_state_check,
  add constraint grants_state_check check (
    state in ('SCHEDULED', 'OPEN', 'SPENT', 'EXPIRED', 'VOIDED')
  );
grant update (voided, void_on_return, priority, expires_at, operations) on grants to scrip_runtime;

alter table accounts add suspension jsonb;
alter table accounts alter column suspension set statistics 0;
grant update (suspension) on accounts to scrip_runtime;
`;
