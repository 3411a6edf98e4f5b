/** A policy that changes while the service runs. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mapOf } from '../../src/map-of.ts';
import { openWithCredits } from '../accounts.ts';
import { errorOf } from '../rpc-error.ts';
import { requestId } from '../service.ts';
import { type PolicedService, startPoliced } from './policed-service.ts';

const RULES = `
  - { id: header:images, roles: [product-service], operations: [image.*] }
  - { id: header:agent, roles: [product-service, support], on_behalf_of: ['user:*', anna] }
  - { id: header:alone, roles: [product-service, support] }
  - { id: header:scoped, roles: [product-service, observer], accounts: { labels: { team: media } } }`;

let scrip: PolicedService;
let accountId: string;
beforeEach(async () => {
  scrip = await startPoliced(RULES, { frozenAt: Date.UTC(2031, 4, 10, 12) });
  accountId = await openWithCredits(scrip, 1_000n);
});
afterEach(() => scrip.stop());

const named = () => ({ accountId, requestId: requestId() });

describe('a policy that is read again', () => {
  const charge = (caller: string) => scrip.as(caller).billing.charge({ ...named(), credits: 1n });
  const rule = (id: string, more = '') =>
    `  - { id: header:${id}, roles: [product-service]${more} }`;

  test('refuses a caller that it removed at once, on a connection that is open', async () => {
    await charge('alone');
    await scrip.usePolicy(rule('other'));
    expect(await errorOf(charge('alone'))).toMatchObject({
      reason: 'CALLER_NOT_ALLOWED',
      metadata: { limit: 'caller' },
    });
    await charge('other');
    await scrip.usePolicy(rule('alone'));
    await charge('alone');
  });

  test('that is broken changes nothing, and is reported once', async () => {
    await scrip.usePolicyText('version: 1\ncallers: [');
    await scrip.service.reload();
    await charge('alone');
    expect(await errorOf(charge('nobody'))).toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
    const message = 'the policy file is invalid: the policy before it stays in force';
    expect(scrip.logged(message)).toMatchObject([{ level: 50 }]);
    await scrip.usePolicy(rule('other'));
    expect(await errorOf(charge('alone'))).toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
    expect(scrip.logged('the policy file is valid again')).toHaveLength(1);
  });

  test('is logged with what it changed', async () => {
    await scrip.usePolicy(`${rule('alone', ', operations: [image.*]')}\n${rule('new')}`);
    expect(scrip.logged('policy changed')).toMatchObject([
      {
        added: ['header:new'],
        changed: ['header:alone'],
        removed: expect.arrayContaining(['header:agent', 'header:images']),
      },
    ]);
    expect(await errorOf(charge('alone'))).toMatchObject({ metadata: { limit: 'operation' } });
  });

  test('goes on with the rates that callers have used', async () => {
    const slow = (rate: number) =>
      rule('alone', `, requests_per_second: { rate: ${rate}, burst: 2 }`);
    await scrip.usePolicy(slow(1));
    await charge('alone');
    await charge('alone');
    await scrip.usePolicy(slow(2));
    expect(await errorOf(charge('alone'))).toMatchObject({ reason: 'RATE_LIMITED', retryMs: 500 });
  });

  test('ends open streams of a caller that may not read them any more', async () => {
    await scrip.accounts.updateAccount({
      ...named(),
      labels: { labels: mapOf({ team: 'media' }) },
    });
    const follow = async (caller: string) => {
      const stream = scrip.as(caller).billing.streamHistory({ accountId, follow: true });
      await stream.next();
      return stream;
    };
    const [removed, scoped, kept] = [
      await follow('alone'),
      await follow('scoped'),
      await follow('test'),
    ];
    await scrip.usePolicy(
      '  - { id: header:scoped, roles: [observer], accounts: { labels: { team: media } } }',
    );
    await charge('test');
    expect(await errorOf(removed.next())).toMatchObject({ reason: 'CALLER_NOT_ALLOWED' });
    expect((await scoped.next()).value).toMatchObject({ entries: [{ credits: 1n }] });
    await kept.next();
    // The account leaves the scope of the one that is left.
    await scrip.accounts.updateAccount({ ...named(), labels: { labels: mapOf({}) } });
    expect(await errorOf(scoped.next())).toMatchObject({ reason: 'ACCOUNT_NOT_FOUND' });
    await kept.return();
  });
});
