/** buf's checks of the protos can fail: each is run on a changed copy. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
let copy: string;

beforeEach(() => {
  copy = mkdtempSync(join(tmpdir(), 'scrip-contract-'));
  for (const name of ['proto', 'buf.yaml'])
    cpSync(join(root, name), join(copy, name), { recursive: true });
});
afterEach(() => rmSync(copy, { recursive: true, force: true }));

function buf(...args: string[]) {
  try {
    execFileSync(join(root, 'node_modules/.bin/buf'), args, { cwd: copy, stdio: 'pipe' });
    return 'passes';
  } catch {
    return 'fails';
  }
}

const breaking = () => buf('breaking', '--against', 'proto/released.binpb');

function edit(file: string, from: string, to: string) {
  const path = join(copy, 'proto/billing/v1', file);
  const text = readFileSync(path, 'utf8');
  expect(text).toContain(from);
  writeFileSync(path, text.replace(from, to));
}

describe('the contract', () => {
  test('has no breaking change since the released one', () => {
    expect(breaking()).toBe('passes');
  });

  test.each([
    ['a renamed field', 'billing_service.proto', 'int64 after_seq = 2;', 'int64 after_entry = 2;'],
    ['another type', 'ledger.proto', 'int64 grant_id = 1;', 'int32 grant_id = 1;'],
    ['another number', 'pricing.proto', 'string currency = 1;', 'string currency = 7;'],
    ['a renamed RPC', 'plan_service.proto', 'rpc ListPlans(', 'rpc EnumeratePlans('],
    [
      'a removed reason',
      'error_reason.proto',
      'ERROR_REASON_EXCEEDS_COMMIT = 15',
      'ERROR_REASON_TOO_MUCH = 15',
    ],
  ])('breaks with %s', (_, file, from, to) => {
    edit(file, from, to);
    expect(breaking()).toBe('fails');
  });

  test('may get a new field', () => {
    edit(
      'billing_service.proto',
      'message Mutation {',
      'message Mutation {\n  // A note.\n  string note = 99;',
    );
    expect(breaking()).toBe('passes');
  });

  test('must comment every field', () => {
    edit('billing_service.proto', 'message Mutation {', 'message Mutation {\n  string note = 99;');
    expect(buf('lint')).toBe('fails');
  });
});
