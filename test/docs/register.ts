/** Which pages are run, by what, and which are not and why. */
import { globSync } from 'node:fs';

export const root = new URL('../..', import.meta.url).pathname;

/** In their order: the service of the quick start runs on, and its folder is that of the how-tos. */
export const READ: readonly string[] = [
  'docs/quick-start.md',
  ...globSync('docs/how-to/*.md', { cwd: root }).sort(),
  'examples/rest-edge/README.md',
];

/** With a service of its own. */
export const SANDBOX = 'docs/sandbox.md';

/** Their commands call a service with grpcurl, by a function of the first page. */
export const WITH_GRPCURL: readonly string[] = [
  'docs/grpcurl.md',
  'docs/statements.md',
  'docs/events.md',
  'docs/payments.md',
];

/** Commands on pages that are run which are not, by how they begin. */
export const NOT_RUN: Readonly<Record<string, string>> = {
  'scrip EventService/StreamEvents': 'it does not end',
  'EVENTS_WEBHOOK_URL=': 'it needs a receiver',
  'STRIPE_SECRET_KEY=sk_…': 'it needs an account of Stripe',
  'npm run scrip -- purchases': 'it needs a payment that differs from its order',
  'scrip AccountService/UpdateAccount \'{"account_id": "acme", "request_id": "top-up-on"':
    'it needs a customer of Stripe',
};

/** Their commands of scrip and npm are those that there are, with their options and arguments. */
export const TYPED = 'test/cli/documented-commands.test.ts';

/**
 * Pages with commands or code that others run. Each snippet, by how it begins, has the tests that take it from the
 * page and run, compile or parse it; or the words with which the page itself says why nobody does.
 */
export const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'README.md': {
    'npm ci && npm start': TYPED,
    'npx scrip account open': 'test/readme.test.ts',
    'npx node ': 'test/readme.test.ts',
  },
  'clients/typescript/README.md': { '': 'test/client-package/tarball.test.ts' },
  'docs/clients/typescript.md': {
    'npm install': 'test/client-package/tarball.test.ts',
    'import ': 'test/client-package/tarball.test.ts',
    'node charge': 'test/client-package/tarball.test.ts',
    'cp -R': 'test/clients/clients.test.ts',
    'SCRIP_ADDRESS=': 'test/clients/clients.test.ts',
    '': 'test/client-package/tarball.test.ts',
  },
  'docs/clients/go.md': { '': 'test/clients/clients.test.ts' },
  'docs/clients/java.md': { '': 'test/clients/clients.test.ts' },
  'docs/clients/python.md': { '': 'test/clients/clients.test.ts' },
  'docs/backup.md': { '': 'test/backup/backup.test.ts' },
  'docs/policy.md': {
    'npm run scrip': 'test/policy/documented-policy.test.ts',
    'kubectl get': 'They need a cluster',
  },
  'docs/authentication.md': { 'const with': 'test/authentication/documented-clients.test.ts' },
  'docs/archiving.md': {
    'npm run scrip -- archive': TYPED,
    'create role': 'test/archive/command.test.ts',
  },
  'docs/anchors.md': { '': 'test/anchors/documented-anchor.test.ts' },
  'docs/cli.md': { 'source ': 'test/cli/program.test.ts', '': TYPED },
  'docs/trace.md': { '': TYPED },
  'docs/finance.md': { '': TYPED },
  'docs/late-usage.md': { '': TYPED },
  'docs/entries.md': {
    'select ': 'test/documented-sql.test.ts',
    'scrip AccountService': 'test/docs/grpcurl.test.ts',
  },
  'docs/operations.md': {
    'create role': 'test/process/migrate.test.ts',
    'alter role': 'test/any-postgres/pooler.ts',
    'npm ci --omit=dev': 'test/production/production.test.ts',
    'DATABASE_URL=': 'test/config.test.ts',
    'npm run scrip -- clock': TYPED,
    'npm run scrip -- doctor': TYPED,
  },
  'docs/citus.md': { 'scrip ': TYPED },
  'docs/performance.md': { '': 'test/bench/documented-runs.test.ts' },
  'SECURITY.md': { 'cp package.json': 'test/dependencies.test.ts' },
  'CONTRIBUTING.md': { 'npm ci && npm run ci': TYPED },
  'docs/deployment.md': {
    'create role': 'test/deploy/roles.test.ts',
    'kubectl ': 'no cluster has run it yet',
    'helm ': 'no cluster has run it yet',
  },
  'deploy/README.md': {
    'docker ': 'that Docker builds it',
    'deploy/compose/': 'that Docker starts it',
    'export SCRIP_': 'that Docker starts it',
  },
  'deploy/plans/README.md': { 'npm run scrip': TYPED },
  'deploy/observability/README.md': { 'cd deploy': 'test/observability/collector.test.ts' },
  'deploy/observability/RUNBOOK.md': {
    'scrip ': TYPED,
    'npm run verify': TYPED,
    'psql ': 'test/documented-sql.test.ts',
  },
};
