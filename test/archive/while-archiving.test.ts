/** A search by time, of whose account entries leave the table after it has read how far that is archived. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Archive } from '../../src/archive/archive.ts';
import { connect, type Em } from '../../src/pg/orm.ts';
import { lastSeqBefore } from '../../src/queries/entries.ts';
import { entities } from '../../src/store/tables/index.ts';
import { DAY, defined, entriesOf, openWithCredits } from '../accounts.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { archiveLedger, temporaryDirectory } from './archiving.ts';

const directory = temporaryDirectory();

let scrip: TestService;
let orm: Awaited<ReturnType<typeof connect>>;
beforeAll(async () => {
  scrip = await startTestService({
    frozenAt: Date.parse('2024-01-10T12:00:00Z'),
    env: { ARCHIVE_DIRECTORY: directory },
  });
  orm = await connect(scrip.databaseUrl, entities, 1, 30_000);
});
afterAll(async () => {
  await orm.close();
  await scrip.stop();
});

/** The first border that it reads is passed before it can be used. */
class MovingArchive extends Archive {
  #hasMoved = false;

  override async borderOf(em: Em, accountId: string) {
    const border = await super.borderOf(em, accountId);
    if (this.#hasMoved) return border;
    this.#hasMoved = true;
    await archiveLedger(scrip, directory, '2024-02');
    return border;
  }
}

test('the last entry before an instant is found while the entries before it are archived', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const charge = () => scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
  for (let day = 0; day < 14; day++) {
    scrip.advance(DAY);
    await charge();
  }
  scrip.advance(30 * DAY);
  const { entrySeq } = await charge();
  const now = scrip.now() + 1;
  const newest = defined((await entriesOf(scrip, accountId)).at(-1)).seq;
  expect(newest).toBe(entrySeq);
  const archive = new MovingArchive(directory);
  expect(await lastSeqBefore(orm.em.fork(), archive, accountId, now, newest)).toBe(newest);
});
