/** What of an allowance returned for late usage is on the path of the charge that spent it, whichever id leads there. */
import '../../src/telemetry/sdk.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DAY, defined } from '../accounts.ts';
import { archiveLedger, temporaryDirectory } from '../archive/archiving.ts';
import { type PolicedService, startPoliced } from '../authorization/policed-service.ts';
import { planIn } from '../pricing/fixtures.ts';
import { plansOfDeploy, requestId } from '../service.ts';
import { foundKinds, kindsOf, named, newTrace, pathOf, seqsOf, traceAll } from './traced.ts';

const LATE = planIn(`
plan_id: late
title: Late
terms:
  late_usage: 3d
  allowance: { credits: 50, every: month, rollover: none }
packs: []
operations:
  job.one: { title: One, billable: true, components: [{ kind: flat, label: One, credits: 1 }] }
`);
const RULES = `
  - { id: header:own, roles: [product-service, operator], own_reservations_only: true }
  - { id: header:other, roles: [product-service, operator], own_reservations_only: true }`;
const USED_AT = new Date('2031-03-31T10:00:00Z');
const directory = temporaryDirectory();

let scrip: PolicedService;
beforeAll(async () => {
  scrip = await startPoliced(RULES, {
    plans: [...(await plansOfDeploy()), LATE],
    frozenAt: Date.parse('2031-03-10T12:00:00Z'),
    env: { ARCHIVE_DIRECTORY: directory },
  });
});
afterAll(() => scrip.stop());

type Made = {
  readonly accountId: string;
  readonly charged: bigint;
  readonly reservationId: string;
  readonly charge: ReturnType<typeof newTrace>;
  readonly reserve: ReturnType<typeof newTrace>;
};

/** Two days after the end of a month: a charge of it, a reservation of it, and a charge of now. */
async function makeLateUsage(): Promise<Made> {
  const { billing } = scrip.as('own');
  const accountId = await scrip.open('late');
  scrip.setNow(Date.parse('2031-04-02T12:00:00Z'));
  const [charge, reserve] = [newTrace(), newTrace()];
  const late = { credits: 5n, usedAt: USED_AT };
  const { entrySeq: charged } = await billing.charge({ ...named(accountId), ...late }, charge);
  const { reservation } = await billing.reserve({ ...named(accountId), ...late }, reserve);
  const { reservationId } = defined(reservation);
  await billing.commit({ ...named(accountId), reservationId, all: true });
  await billing.charge({ ...named(accountId), credits: 1n });
  await scrip.billing.refund({ ...named(accountId), seq: charged, credits: 2n, reason: 'a test' });
  return { accountId, charged, reservationId, charge, reserve };
}

const CHARGE = ['REINSTATE', 'CHARGE', 'REFUND'];
const RESERVATION = ['REINSTATE', 'RESERVE', 'COMMIT'];

let made: Made;
beforeAll(async () => {
  made = await makeLateUsage();
});

describe.each(['stored', 'archived'])('Late usage that is %s', (where) => {
  beforeAll(async () => {
    if (where === 'stored') return;
    scrip.advance(40 * DAY);
    await scrip.service.sweep();
    const parts = await archiveLedger(scrip, directory, '2031-05');
    expect(parts.reduce((sum, { deleted }) => sum + deleted, 0)).toBeGreaterThan(8);
  });

  test('has what returned for it on the path of its charge', async () => {
    const { accountId, charged, charge } = made;
    const byTrace = await pathOf(scrip, { $case: 'traceId', value: charge.traceId });
    expect(byTrace.key?.charge).toEqual({ $case: 'entrySeq', value: charged });
    expect(kindsOf(byTrace)).toEqual(CHARGE);
    expect(foundKinds(byTrace)).toEqual(['REINSTATE', 'CHARGE']);
    expect(byTrace).toMatchObject({ gaps: [], complete: true, grants: [{ grantId: 1n }] });
    for (const seq of seqsOf(byTrace)) {
      const path = await pathOf(scrip, { $case: 'entrySeq', value: seq }, accountId);
      expect(path.key).toEqual(byTrace.key);
      expect(seqsOf(path)).toEqual(seqsOf(byTrace));
    }
  });

  test('has what returned for it on the path of its reservation', async () => {
    const { accountId, reservationId, reserve } = made;
    const path = await pathOf(scrip, { $case: 'reservationId', value: reservationId });
    expect(kindsOf(path)).toEqual(RESERVATION);
    expect(foundKinds(path)).toEqual(['RESERVE', 'COMMIT']);
    expect(path).toMatchObject({ gaps: [], complete: true });
    const byTrace = await pathOf(scrip, { $case: 'traceId', value: reserve.traceId });
    expect(seqsOf(byTrace)).toEqual(seqsOf(path));
    const [returned = 0n] = seqsOf(path);
    const byEntry = await pathOf(scrip, { $case: 'entrySeq', value: returned }, accountId);
    expect(byEntry.key?.charge).toEqual({ $case: 'reservationId', value: reservationId });
    expect(foundKinds(byEntry)).toEqual(['REINSTATE']);
  });

  test('is seen by its caller, and by no other who sees own work only', async () => {
    const { charge, reservationId } = made;
    const byTrace = { $case: 'traceId', value: charge.traceId } as const;
    expect(kindsOf(await pathOf(scrip.as('own'), byTrace))).toEqual(CHARGE);
    const byReservation = { $case: 'reservationId', value: reservationId } as const;
    expect(kindsOf(await pathOf(scrip.as('own'), byReservation))).toEqual(RESERVATION);
    await expect(traceAll(scrip.as('other'), byTrace)).rejects.toMatchObject({
      reason: 'CHARGE_NOT_FOUND',
    });
  });

  test('has an allowance that returned listed once by its reference, as the charge that spent it', async () => {
    const { accountId, charged } = made;
    const { candidates } = await traceAll(
      scrip,
      { $case: 'reference', value: '2031-03' },
      accountId,
    );
    expect(candidates.map(({ key }) => key?.charge?.$case)).toContain('reservationId');
    expect(candidates.map(({ key }) => key?.charge?.value)).toContain(charged);
  });
});

test('a charge of now has nothing before it on its path', async () => {
  scrip.setNow(Date.parse('2031-06-02T12:00:00Z'));
  const accountId = await scrip.open('late');
  const { entrySeq } = await scrip.billing.charge({
    accountId,
    requestId: requestId(),
    credits: 1n,
    usedAt: new Date(scrip.now()),
  });
  const path = await pathOf(scrip, { $case: 'entrySeq', value: entrySeq }, accountId);
  expect(kindsOf(path)).toEqual(['CHARGE']);
});
