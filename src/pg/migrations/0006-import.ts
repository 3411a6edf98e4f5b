import { Migration } from '@mikro-orm/migrations';

/** Purchases that were imported from another system, by the payment that the provider knows. */
export class Migration0006Import extends Migration {
  override up() {
    this.addSql(SCHEMA);
  }
}

const SCHEMA = `\
create index purchases_imported_payment on purchases (payment_intent_id)
  where method = 'REFERENCE' and payment_intent_id is not null;
`;
