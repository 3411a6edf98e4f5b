/** A service with a policy file, whose callers name themselves, and what it logs. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { connect, type Scrip } from '../../src/client.ts';
import { startTestService, type TestOptions, type TestService } from '../service.ts';

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string };

export type PolicedService = TestService & {
  /** A client that calls as this caller. */
  readonly as: (caller: string) => Scrip;
  /** What the service has logged with this message. */
  readonly logged: (msg: string) => readonly LogLine[];
  /** Writes the policy file again, with these rules, and has it read. */
  readonly usePolicy: (rules: string) => Promise<void>;
  /** Writes any text to the policy file, and has it read. */
  readonly usePolicyText: (text: string) => Promise<void>;
};

/** The service's own client, "test", may do everything: it makes what the callers of a test find. */
const EVERYTHING = `
  - id: header:test
    roles: [product-service, support, billing-admin, observer, operator, payments, importer]
    on_behalf_of: ['*']`;

/** What no built-in role allows. */
const ROLES = 'roles:\n  importer: { methods: [ImportAccount, SumImports, SetShadowMode] }';

/** A policy file with these rules, each as in the list \`callers\`, and the rule of "test". */
const policyText = (rules: string): string =>
  `version: 1\n${ROLES}\ncallers:${EVERYTHING}\n${rules}\n`;

export async function startPoliced(
  rules: string,
  options: Omit<TestOptions, 'log'> = {},
): Promise<PolicedService> {
  const directory = await mkdtemp(join(tmpdir(), 'scrip-policy-'));
  const file = join(directory, 'policy.yaml');
  await writeFile(file, policyText(rules));
  const lines: LogLine[] = [];
  const log = pino({ level: 'info' }, { write: (line) => lines.push(JSON.parse(line)) });
  // Tests call reload().
  const env = { POLICY_FILE: file, POLICY_RELOAD_INTERVAL_MS: '3600000', ...options.env };
  const scrip = await startTestService({ ...options, env, log });
  const clients = new Map<string, Scrip>();
  const usePolicyText = async (text: string) => {
    await writeFile(file, text);
    await scrip.service.reload();
  };
  return {
    ...scrip,
    as(caller) {
      const client = clients.get(caller) ?? connect(`127.0.0.1:${scrip.service.port}`, { caller });
      clients.set(caller, client);
      return client;
    },
    logged: (msg) => lines.filter((line) => line.msg === msg),
    usePolicy: (changed) => usePolicyText(policyText(changed)),
    usePolicyText,
    async stop() {
      for (const client of clients.values()) client.close();
      await scrip.stop();
      await rm(directory, { recursive: true });
    },
  };
}
