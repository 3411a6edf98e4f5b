import { Migration } from '@mikro-orm/migrations';

/** The archiver sees whether slots leave the cell. */
export class Migration0017ArchiverReadsMoves extends Migration {
  override up() {
    this.addSql('grant select on slot_moves, cells to scrip_archiver');
  }
}
