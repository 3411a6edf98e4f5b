/** Shadow mode that begins in the unit of work that decides the first work of it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RequestedCommand } from '../../src/ledger/decide.ts';
import { grant, openWithCredits } from '../accounts.ts';
import { charge, origin } from '../ledger/fixtures.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { type OtherReplica, startOtherReplica } from './other-replica.ts';

let scrip: TestService;
let replica: OtherReplica;
/** The number of tasks of each unit of work. */
const units: number[] = [];

beforeAll(async () => {
  scrip = await startTestService();
  replica = await startOtherReplica(scrip, ({ length }) => void units.push(length));
});
afterAll(async () => {
  await replica.stop();
  await scrip.stop();
});

const submit = (accountId: string, command: RequestedCommand) =>
  replica.lanes.submit({
    ...{ type: 'request', accountId, command, origin: { ...origin, requestId: requestId() } },
    ...{ call: null, permissions: null, fingerprint: new Uint8Array(), notAfter: null },
    ...{ dayTally: null, blockedBy: null, isAbandoned: () => false },
    encodeResponse: () => Buffer.from(''),
  });

test('the work is decided on all grants of the account', async () => {
  const accountId = await openWithCredits(scrip, 10n);
  // More grants than a unit of work reads at first: the first one pays.
  for (let more = 0; more < 20; more++) await grant(scrip, accountId, 1n);
  units.length = 0;
  await Promise.all([
    submit(accountId, { kind: 'SetShadowMode', enabled: true, reason: 'a test' }),
    submit(accountId, charge(4n) as RequestedCommand),
  ]);
  expect(units).toEqual([2]);
  const { decisions } = await scrip.accounts.listShadowDecisions({ accountId });
  expect(decisions.map(({ availableAfter }) => availableAfter)).toEqual([26n]);
});
