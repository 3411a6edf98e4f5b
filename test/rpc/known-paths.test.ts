/** Calls that are refused before they are decoded are counted under their method, if there is such a method. */
import { readFileSync } from 'node:fs';
import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { isKnownPath } from '../../src/rpc/call/known-paths.ts';

const bytes = readFileSync(new URL('../../src/gen/descriptor.binpb', import.meta.url));
const services = [...createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes))]
  .filter((one) => one.kind === 'service')
  .filter(({ typeName }) => typeName.startsWith('billing.v1.'));

test('there are six services', () => {
  expect(services).toHaveLength(6);
});

test.each(services)('every method of $typeName is known', ({ typeName, methods }) => {
  const unknown = methods.filter(({ name }) => !isKnownPath(`/${typeName}/${name}`));
  expect(unknown.map(({ name }) => name)).toEqual([]);
});

test.each(['/billing.v1.BillingService/Void', '/billing.v1.Nobody/Reserve', '', '/'])(
  '%j is not',
  (path) => {
    expect(isKnownPath(path)).toBe(false);
  },
);
