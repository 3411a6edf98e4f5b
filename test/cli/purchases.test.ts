/** `scrip purchases mismatched` and `purchases resolve`, against a running service. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Purchase_Resolution_Decision, Purchase_State } from '../../src/gen/billing/v1/ledger.ts';
import { createAuthority, createTlsDirectory, signServer } from '../authentication/authority.ts';
import { tlsOf } from '../authentication/client.ts';
import { insertMismatched, purchaseNow } from '../payments/given.ts';
import { startTestService, type TestService } from '../service.ts';
import { runScrip } from './run-scrip.ts';

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService();
});
afterAll(() => scrip.stop());

const run = (...args: string[]) =>
  runScrip(['purchases', ...args], {
    DATABASE_URL: scrip.databaseUrl,
    SCRIP_ADDRESS: `127.0.0.1:${scrip.service.port}`,
  });

test('mismatched purchases are listed, accepted and rejected', async () => {
  expect(await run('mismatched')).toEqual({ exitCode: 0, stderr: '', stdout: 'none\n' });
  const accountId = await scrip.open('verts');
  const [accepted, rejected] = [
    await insertMismatched(scrip, accountId),
    await insertMismatched(scrip, accountId),
  ];
  const listed = (await run('mismatched')).stdout.trim().split('\n');
  expect(listed).toHaveLength(2);
  expect(listed[0]).toMatch(
    new RegExp(`^${accountId} ${accepted}: pack starter of .*, ordered 5.00 USD, paid 4.00 USD$`),
  );

  const accept = ['resolve', accountId, accepted, '--accept', '--reason', 'discount agreed'];
  for (const _ of ['once', 'again'])
    expect(await run(...accept, '--caller', 'ops:anna')).toEqual({
      exitCode: 0,
      stderr: '',
      stdout: expect.stringMatching(
        new RegExp(
          `^purchase +${accepted}\ndecision +accepted, 1000 credits granted\ndecided by +ops:anna: discount agreed\n`,
        ),
      ),
    });
  expect(await purchaseNow(scrip, { accountId, purchaseId: accepted })).toMatchObject({
    state: Purchase_State.PAID,
    remaining: 1_000n,
    resolution: { decision: Purchase_Resolution_Decision.ACCEPTED, caller: 'ops:anna' },
  });
  const ran = await run('resolve', accountId, rejected, '--reject', '--reason', 'a wrong coupon');
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  expect(ran.stdout).toMatch(
    new RegExp(
      `^purchase +${rejected}\ndecision +rejected, nothing granted\ndecided by +operator:.+: a wrong coupon\n`,
    ),
  );
  expect(await run('mismatched')).toMatchObject({ stdout: 'none\n' });
  const late = await run('resolve', accountId, rejected, '--accept', '--reason', 'after all');
  expect(late).toMatchObject({ exitCode: 4, stdout: '' });
  expect(late.stderr).toContain(`purchase ${rejected} is REJECTED`);
});

test('on a service with TLS the operator is who the certificate says', async () => {
  const authority = await createAuthority();
  const ca = authority.certificate;
  const files = await createTlsDirectory(await signServer(authority), ca);
  const anna = await createTlsDirectory(await authority.sign({ commonName: 'anna' }), ca);
  onTestFinished(async () => {
    await files.remove();
    await anna.remove();
  });
  const pair = await authority.sign({ commonName: 'pages' });
  const secure = await startTestService({ env: files.env, client: { tls: tlsOf(ca, pair) } });
  onTestFinished(() => secure.stop());
  const accountId = await secure.open('verts');
  const purchaseId = await insertMismatched(secure, accountId);
  const ran = await runScrip(
    ['purchases', 'resolve', accountId, purchaseId, '--accept', '--reason', 'agreed'],
    {
      SCRIP_ADDRESS: `localhost:${secure.service.port}`,
      SCRIP_CA_FILE: anna.env['TLS_CLIENT_CA_FILE'] ?? '',
      SCRIP_CERT_FILE: anna.env['TLS_CERT_FILE'] ?? '',
      SCRIP_KEY_FILE: anna.env['TLS_KEY_FILE'] ?? '',
    },
  );
  expect(ran).toMatchObject({ exitCode: 0, stderr: '' });
  expect(ran.stdout).toMatch(/^decided by +cn:anna: agreed$/m);
});

test.each([
  [['resolve', 'acme', '--accept', '--reason', 'x'], "missing required argument 'purchase'"],
  [['resolve', 'acme', 'p', '--reason', 'x'], 'either --accept or --reject is needed'],
  [
    ['resolve', 'acme', 'p', '--accept', '--reject', '--reason', 'x'],
    'either --accept or --reject is needed',
  ],
  [['resolve', 'acme', 'p', '--accept'], "required option '--reason <text>' not specified"],
])('%j is refused: %s', async (args, message) => {
  const { exitCode, stderr } = await run(...args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});
