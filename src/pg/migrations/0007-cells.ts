import { Migration } from '@mikro-orm/migrations';

/** Which cell of an installation the database is, and the map of slots to cells. */
export class Migration0007Cells extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
create table cells (
  name        text not null,
  map_version int not null,
  slots       jsonb not null,
  recorded_at timestamptz(3) not null,
  primary key (name)
);
grant select on cells to scrip_runtime;
`;
