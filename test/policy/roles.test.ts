/** Which built-in role allows which method, and that every RPC is in the table. */
import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import { METHODS, ROLES } from '../../src/policy/methods.ts';
import { BUILT_IN_ROLES } from '../../src/policy/roles.ts';

/** A column per role, in the order of ROLES; x: allowed. */
const MATRIX = `
                       product  support  billing  observer  operator  payments
                       service           admin
Estimate                  x        x        x        -         -         x
Reserve                   x        -        -        -         -         -
Commit                    x        -        -        -         -         -
Release                   x        -        -        -         -         -
Charge                    x        -        -        -         -         -
ExtendReservation         x        -        -        -         -         -
RaiseReservation          x        -        -        -         -         -
Refund                    x        x        x        -         -         -
Batch                     x        x        x        -         -         x
GetReservation            x        x        x        x         x         -
ListReservations          x        x        x        x         x         -
GetBalance                x        x        x        x         x         x
GetPastBalance            x        x        x        x         x         -
ListEntries               x        x        x        x         x         -
StreamHistory             x        x        x        x         x         -
ListGrants                x        x        x        x         x         -
ListPacks                 x        x        x        x         x         x
EstimatePurchase          x        x        x        x         x         x
ListPlans                 x        x        x        x         x         x
GetPlan                   x        x        x        x         x         x
GetAccount                x        x        x        x         x         x
ListAccounts              -        x        x        x         x         -
GetPurchase               -        x        x        x         x         x
ListPurchases             -        x        x        x         x         x
GetStatement              -        x        x        x         x         x
ListStatements            -        x        x        x         x         x
ExportStatements          -        -        x        x         -         x
GetUsage                  -        x        x        x         x         x
GetRollForward            -        -        x        x         -         x
Purchase                  -        -        x        -         -         x
GrantCredits              -        x        x        -         -         -
ImportAccount             -        -        -        -         -         -
SumImports                -        -        -        -         -         -
SuspendAccount            -        -        x        -         -         -
ResumeAccount             -        -        x        -         -         -
SetShadowMode             -        -        -        -         -         -
ListShadowDecisions       -        -        x        x         x         -
SetBudget                 -        -        x        -         -         -
RemoveBudget              -        -        x        -         -         -
GetBudgets                x        x        x        x         x         -
VoidGrant                 -        -        x        -         -         -
UpdateGrant               -        -        x        -         -         -
OpenAccount               -        -        x        -         -         -
UpdateAccount             -        -        x        -         -         -
MoveAccount               -        -        x        -         -         -
CloseAccount              -        -        x        -         -         -
EraseAccountData          -        -        x        -         -         -
OfferPack                 -        -        x        -         -         -
WithdrawPack              -        -        x        -         -         -
ResolvePurchase           -        -        x        -         -         -
StreamEvents              -        -        x        x         x         -
ListDeliveries            -        -        -        x         x         -
ReplayDelivery            -        -        -        -         x         -
ReplayDeadDeliveries      -        -        -        -         x         -
TraceCharge               -        -        -        x         x         -
ListStuckReservations     -        -        -        x         x         -
ListRefusals              -        -        -        -         x         -
ServerReflectionInfo      -        -        -        -         x         -
`;

const COLUMNS = ['product-service', 'support', 'billing-admin', 'observer', 'operator', 'payments'];

const rows = MATRIX.trim()
  .split('\n')
  .slice(2)
  .map((line) => line.split(/ +/));

test('the table has a row per method, a column per role, and nothing else', () => {
  expect(COLUMNS).toEqual(ROLES);
  expect(rows.map(([method]) => method).toSorted()).toEqual(Object.keys(METHODS).toSorted());
  for (const [, ...cells] of rows) {
    expect(cells).toHaveLength(COLUMNS.length);
    for (const cell of cells) expect(cell).toMatch(/^[x-]$/);
  }
});

describe.each(COLUMNS.map((role, column) => ({ role, column })))('$role', ({ role, column }) => {
  test.each(rows.map(([method = '', ...cells]) => ({ method, allowed: cells[column] === 'x' })))(
    '$method: $allowed',
    ({ method, allowed }) => {
      expect([...(BUILT_IN_ROLES.get(role) ?? [])].includes(method as never)).toBe(allowed);
    },
  );
});

test('the methods are the RPCs of the protos, and reflection', () => {
  const registry = createFileRegistry(
    fromBinary(
      FileDescriptorSetSchema,
      readFileSync(new URL('../../src/gen/descriptor.binpb', import.meta.url)),
    ),
  );
  const rpcs = [...registry]
    .filter((type) => type.kind === 'service')
    .filter(({ typeName }) => typeName.startsWith('billing.v1.'))
    .flatMap(({ methods }) => methods.map(({ name }) => name));
  expect(rpcs.length).toBeGreaterThan(30);
  expect(Object.keys(METHODS).toSorted()).toEqual([...rpcs, 'ServerReflectionInfo'].toSorted());
});
