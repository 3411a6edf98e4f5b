/** Every method as every role, over a socket: who may call what, and that nothing comes of a denied call. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { METHODS, ROLES } from '../../src/policy/methods.ts';
import { storedRows } from '../accounts.ts';
import { execute } from '../postgres.ts';
import {
  BATCH_MEMBERS,
  callAs,
  callInBatch,
  callMethod,
  EVERY_CALL,
  givenAccount,
  METHOD_NAMES,
  reasonOf,
} from './every-call.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const DENIED = 'CALLER_NOT_ALLOWED';
const PERMISSION_DENIED = 7;

let scrip: PolicedService;
beforeAll(async () => {
  const roles = ROLES.map((role) => `  - { id: header:${role}, roles: [${role}] }`);
  scrip = await startPoliced(`${roles.join('\n')}\n  - { id: header:nothing, roles: [] }`);
});
afterAll(() => scrip.stop());

const isAllowed = (method: keyof typeof METHODS, role: string): boolean =>
  (METHODS[method] as readonly string[]).includes(role);

describe.each(METHOD_NAMES)('%s', (method) => {
  test('is for its roles only', async () => {
    const denied = await givenAccount(scrip);
    const before = await storedRows(scrip, denied.accountId);
    const entries = await countEntries();
    for (const role of [...ROLES, 'nothing', 'somebody']) {
      if (isAllowed(method, role)) continue;
      const ended = await callMethod(scrip, role, method, denied);
      expect([role, ended]).toMatchObject([
        role,
        { code: PERMISSION_DENIED, reason: DENIED, metadata: { caller: role, method } },
      ]);
    }
    expect(await storedRows(scrip, denied.accountId)).toBe(before);
    expect(await countEntries()).toBe(entries);
    for (const role of ROLES.filter((one) => isAllowed(method, one))) {
      const ended = await callMethod(scrip, role, method, await givenAccount(scrip));
      expect([role, reasonOf(ended)]).toEqual([role, EVERY_CALL[method].allowed]);
    }
  });

  test('is authorized before its request is looked at', async () => {
    const { path } = EVERY_CALL[method];
    const undecodable = new Uint8Array([0xff]);
    for (const body of [new Uint8Array(), undecodable]) {
      const { ended } = await callAs(scrip, 'nothing', path, body);
      expect(ended).toMatchObject({ code: PERMISSION_DENIED, reason: DENIED });
      // The same request of a caller that may.
      expect(reasonOf((await callAs(scrip, 'test', path, body)).ended)).not.toBe(DENIED);
    }
  });
});

describe.each(BATCH_MEMBERS)('%s in a Batch', (method) => {
  test('needs the method as outside of it', async () => {
    const denied = await givenAccount(scrip);
    const before = await storedRows(scrip, denied.accountId);
    const entries = await countEntries();
    const inBatches = ROLES.filter((role) => isAllowed('Batch', role));
    for (const role of inBatches) {
      if (isAllowed(method, role)) continue;
      expect(await callInBatch(scrip, role, method, denied)).toMatchObject({
        code: PERMISSION_DENIED,
        reason: DENIED,
        metadata: { caller: role, method, account_id: expect.any(String) },
      });
    }
    expect(await storedRows(scrip, denied.accountId)).toBe(before);
    expect(await countEntries()).toBe(entries);
    for (const role of inBatches.filter((one) => isAllowed(method, one)))
      expect(await callInBatch(scrip, role, method, await givenAccount(scrip))).toBe('OK');
  });
});

describe('a caller without a rule', () => {
  test('may not even ask for a method that does not exist', async () => {
    const path = '/billing.v1.BillingService/Nothing';
    expect((await callAs(scrip, 'somebody', path, new Uint8Array())).ended).toMatchObject({
      reason: DENIED,
      metadata: { limit: 'caller', caller: 'somebody' },
    });
    // Callers with a rule are told that there is none.
    for (const role of ['nothing', 'observer'])
      expect(reasonOf((await callAs(scrip, role, path, new Uint8Array())).ended)).toBe(
        'METHOD_UNKNOWN',
      );
  });

  test('is told who it is, and what it called', async () => {
    const given = await givenAccount(scrip);
    expect(await callMethod(scrip, 'somebody', 'Reserve', given)).toMatchObject({
      metadata: { caller: 'somebody', method: 'Reserve', limit: 'caller' },
    });
    expect(await callMethod(scrip, 'nothing', 'Reserve', given)).toMatchObject({
      metadata: { caller: 'nothing', method: 'Reserve', limit: 'method' },
    });
  });

  test('is not the caller of another method of authentication', async () => {
    await scrip.usePolicy('  - { id: cn:renderer, roles: [observer] }');
    const given = await givenAccount(scrip);
    for (const caller of ['renderer', 'cn:renderer', 'header:renderer'])
      expect(reasonOf(await callMethod(scrip, caller, 'GetBalance', given))).toBe(DENIED);
    await scrip.usePolicy('  - { id: header:cn:renderer, roles: [observer] }');
    expect(await callMethod(scrip, 'cn:renderer', 'GetBalance', given)).toBe('OK');
  });
});

async function countEntries(): Promise<number> {
  const [row] = await execute(scrip.databaseUrl, 'select count(*)::int as count from entries');
  return Number(row?.count);
}
