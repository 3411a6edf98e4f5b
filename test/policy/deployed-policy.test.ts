/** deploy/policy.yaml is valid, and docs/policy.md names every key that a policy file can have. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { CompiledPolicy } from '../../src/policy/compiled-policy.ts';
import type { Identity } from '../../src/policy/identity.ts';
import { policySchema } from '../../src/policy/policy-schema.ts';
import { METHOD_NAMES } from '../../src/policy/roles.ts';
import { certificate, policyFileIn, token } from './fixtures.ts';

const root = new URL('../../', import.meta.url).pathname;
const policy = new CompiledPolicy(policyFileIn(readFileSync(`${root}deploy/policy.yaml`, 'utf8')));

const RENDERER = certificate('spiffe://example.org/media/renderer');
const PAYMENTS = certificate('spiffe://example.org/payments');
const FINANCE = certificate('spiffe://example.org/finance/dashboard');
const STOREFRONT = token('cluster:system:serviceaccount:shop:storefront');
const person = (group: string) =>
  token('staff:anna@example.org', { groups: [group] }, 'spiffe://example.org/gateway');
const SUPPORT = person('support');
const ADMIN = person('billing-admins');
const SRE = person('sre');

describe('the example of a policy', () => {
  test('lets the renderer reserve at most 500 credits per call', () => {
    const permissions = policy.permissionsOf(RENDERER);
    expect(permissions?.methods).toContain('Reserve');
    expect(permissions?.methods).not.toContain('Charge');
    expect(permissions?.creditLimits).toMatchObject({ perCall: 500n });
    expect(permissions).toMatchObject({
      ownReservationsOnly: true,
      operations: ['image.*', 'file.convert'],
    });
  });

  test('lets support grant at most 200 credits a day', () => {
    const permissions = policy.permissionsOf(SUPPORT);
    expect(permissions?.methods).toContain('GrantCredits');
    expect(permissions?.creditLimits).toMatchObject({ perDay: 200n });
  });

  test.each(['MoveAccount', 'CloseAccount', 'UpdateAccount', 'ResolvePurchase'] as const)(
    'lets only the billing admins call %s',
    (method) => {
      const callers = [RENDERER, PAYMENTS, FINANCE, STOREFRONT, SUPPORT, ADMIN, SRE];
      const allowed = callers.filter((caller) => policy.permissionsOf(caller)?.methods.has(method));
      expect(allowed).toEqual([ADMIN]);
    },
  );

  test('lets the gateway carry tokens, and call nothing', () => {
    expect(policy.permissionsOf(certificate('spiffe://example.org/gateway'))?.methods.size).toBe(0);
    const carried = (by: string): Identity => ({ ...ADMIN, certificate: by });
    expect(policy.permissionsOf(carried('spiffe://example.org/gateway'))).not.toBe(null);
    expect(policy.permissionsOf(carried('spiffe://example.org/payments'))).toBe(null);
  });

  test('lets each method be called by somebody, but those that take accounts over', () => {
    const taking: readonly string[] = ['ImportAccount', 'SumImports', 'SetShadowMode'];
    const methods = new Set(
      policy.file.rules.flatMap(({ permissions }) => [...permissions.methods]),
    );
    const expected = METHOD_NAMES.filter((name) => !taking.includes(name));
    expect([...methods].toSorted()).toEqual(expected.toSorted());
  });
});

/** The keys of a schema's mappings, also of those in it. */
function keysOf(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...own, ...Object.values(schema).flatMap(keysOf)];
}

test('docs/policy.md names every key', () => {
  const page = readFileSync(`${root}docs/policy.md`, 'utf8');
  const keys = keysOf(z.toJSONSchema(policySchema, { io: 'input', unrepresentable: 'any' }));
  expect(keys).toEqual(expect.arrayContaining(['version', 'jwks', 'burst', 'on_behalf_of']));
  expect(keys.filter((key) => !page.includes(`\`${key}\``))).toEqual([]);
});
