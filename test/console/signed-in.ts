/** A service with a policy, and browsers of the persons whom it knows by their tokens. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  AUDIENCE,
  ISSUER,
  KeyFile,
  type TokenClaims,
  TokenKey,
} from '../authentication/token-authority.ts';
import { captureLog } from '../disruptions.ts';
import { startTestService, type TestOptions, type TestService } from '../service.ts';
import { Browser } from './browser-client.ts';

export type SignedInService = TestService & {
  readonly key: TokenKey;
  /** All lines of the log. */
  readonly lines: ReturnType<typeof captureLog>['lines'];
  /** A browser in which the person of this claim `sub` has signed in. */
  readonly browserOf: (person: string, claims?: TokenClaims) => Promise<Browser>;
  /** Replaces the policy, and has it read. */
  readonly usePolicy: (rules: string) => Promise<void>;
  readonly usePolicyText: (text: string) => Promise<void>;
};

/** `rules`: those of persons, in the form of the list `callers`. The test's own client may do everything. */
export async function startSignedIn(
  rules: string,
  options: Omit<TestOptions, 'log'> = {},
): Promise<SignedInService> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-console-test-'));
  const file = join(directory, 'policy.yaml');
  const key = await TokenKey.create('one');
  const keys = await KeyFile.create(key);
  const policy = (callers: string) => `
version: 1
issuers:
  - { name: staff, issuer: '${ISSUER}', audience: ${AUDIENCE}, jwks: { file: ${keys.file} } }
callers:
  - { id: header:test, roles: [product-service, support, billing-admin, observer, operator, payments] }
${callers}`;
  await writeFile(file, policy(rules));
  const { log, lines } = captureLog('debug');
  const env = {
    POLICY_FILE: file,
    POLICY_RELOAD_INTERVAL_MS: '3600000',
    ADMIN_PORT: '0',
    ...options.env,
  };
  const scrip = await startTestService({ ...options, env, log });
  const usePolicyText = async (text: string) => {
    await writeFile(file, text);
    await scrip.service.reload();
  };
  return {
    ...scrip,
    key,
    lines,
    async browserOf(person, claims = {}) {
      const browser = new Browser(scrip);
      const { status, text } = await browser.signIn(await key.sign({ sub: person, ...claims }));
      if (status !== 200) throw new Error(text);
      return browser;
    },
    usePolicy: (changed) => usePolicyText(policy(changed)),
    usePolicyText,
    async stop() {
      await scrip.stop();
      await keys.remove();
      await rm(directory, { recursive: true });
    },
  };
}
