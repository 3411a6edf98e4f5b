import { Migration } from '@mikro-orm/migrations';

/** Time zones of accounts, at whose midnight their periods turn. */
export class Migration0013TimeZones extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
alter table accounts add time_zones jsonb;
alter table accounts alter column time_zones set statistics 0;
grant update (time_zones) on accounts to scrip_runtime;
`;
