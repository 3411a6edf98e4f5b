/** What `npm run release` puts into `release/`, for programs in any language. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ErrorReason } from '../../src/gen/billing/v1/error_reason.ts';

const root = new URL('../..', import.meta.url).pathname;
const release = join(root, 'release');

/** The services of billing.v1 that buf finds in an input. */
function servicesOf(input: string, path: string): readonly string[] {
  const buf = join(root, 'node_modules/.bin/buf');
  const json = execFileSync(buf, ['build', input, '--path', path, '--output', '-#format=json'], {
    cwd: root,
    maxBuffer: 64 * 1024 * 1024,
    encoding: 'utf8',
  });
  const { file } = JSON.parse(json) as {
    readonly file: readonly { package: string; service?: readonly { name: string }[] }[];
  };
  return file.flatMap((each) => each.service?.map(({ name }) => `${each.package}.${name}`) ?? []);
}

test('it has the descriptor, the table of reasons and the package', () => {
  const { version } = JSON.parse(
    readFileSync(join(root, 'clients/typescript/package.json'), 'utf8'),
  ) as { readonly version: string };
  const files = ['descriptor.binpb', 'reasons.json', `scrip-client-${version}.tgz`];
  expect(readdirSync(release).toSorted()).toEqual(files);
});

test('buf finds the services of the protos in the descriptor', () => {
  const services = servicesOf('release/descriptor.binpb', 'billing');
  expect(services).toContain('billing.v1.BillingService');
  expect(services).toEqual(servicesOf('proto', 'proto/billing'));
});

test('the table has every reason', () => {
  const { reasons } = JSON.parse(readFileSync(join(release, 'reasons.json'), 'utf8')) as {
    readonly reasons: readonly { readonly reason: string }[];
  };
  const names = Object.keys(ErrorReason).filter((name) => name !== 'UNSPECIFIED');
  expect(reasons.map(({ reason }) => reason).toSorted()).toEqual(names.toSorted());
});
