/** Every RPC of the contract is called by the simulation, or named here with the reason why it is not. */
import { readdirSync, readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';

const LEFT_OUT: Readonly<Record<string, string>> = {
  ResolvePurchase:
    'operators decide about payments, not about credits: test/payments/mismatched.test.ts',
};

const folder = new URL('./', import.meta.url);
const sources = readdirSync(folder)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map((name) => readFileSync(new URL(name, folder), 'utf8'));

/** By its name at a client, or in a request that the runner sends. */
function isCalled(rpc: string): boolean {
  const name = rpc.charAt(0).toLowerCase() + rpc.slice(1);
  const call = new RegExp(`\\.${name}\\(|\\$case: '${name}'`);
  return sources.some((source) => call.test(source));
}

test('every RPC is simulated, or left out for a reason', () => {
  const descriptor = readFileSync(new URL('../../src/gen/descriptor.binpb', import.meta.url));
  const rpcs = [...createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptor))]
    .filter((type) => type.kind === 'service')
    .filter(({ typeName }) => typeName.startsWith('billing.v1.'))
    .flatMap(({ methods }) => methods.map(({ name }) => name));
  expect(rpcs.length).toBeGreaterThan(30);
  const missing = rpcs.filter((rpc) => !isCalled(rpc));
  expect(missing.toSorted()).toEqual(Object.keys(LEFT_OUT).toSorted());
});
