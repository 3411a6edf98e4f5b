import { Migration } from '@mikro-orm/migrations';

/** Indexes for lists of accounts by label and by state. */
export class Migration0003Search extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
create index accounts_by_label on accounts using gin (labels);
create index accounts_closed on accounts (account_id) where state = 'CLOSED';
create index accounts_suspended on accounts (account_id) where suspension is not null;
`;
