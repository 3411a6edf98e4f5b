/** A start at a terminal: what it shows, and in which order. `script` gives it one. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, test } from 'vitest';
import { requireConfig } from '../../src/config.ts';
import { publishAt } from '../../src/plan-publication.ts';
import { readyText } from '../../src/start-text.ts';
import { createDatabase } from '../postgres.ts';
import { plansOfDeploy } from '../service.ts';

const root = new URL('../..', import.meta.url).pathname;

test('shows what it does, readable log lines, the addresses and a first command', async () => {
  const databaseUrl = await createDatabase(inject('postgresUrl'));
  await publishAt(databaseUrl, await plansOfDeploy(), Date.now());
  const directory = await mkdtemp(join(tmpdir(), 'scrip-terminal-'));
  const command = `exec ${process.execPath} ${root}src/main.ts`;
  const child = spawn('script', ['-qec', command, '/dev/null'], {
    cwd: directory,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: databaseUrl,
      PORT: '0',
      ADMIN_PORT: '0',
      NO_COLOR: '1',
    },
  });
  let shown = '';
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text;
      if (shown.includes('npx scrip --help')) resolve();
    });
    void ended.then(() => reject(new Error(shown)));
  });
  // Ctrl-C.
  child.stdin.write('\u0003');
  expect(await ended).toBe(0);
  await rm(directory, { recursive: true });
  const lines = shown.split(/\r?\n/);
  expect(lines.filter((line) => line.startsWith('{'))).toEqual([]);
  const order = [
    /^ *\d+\.\d s {2}database of DATABASE_URL$/,
    /^ *\d+\.\d s {2}service: listen$/,
    /INFO {2}ready port=\d+/,
    /^Scrip is ready on localhost:\d+ \(database of DATABASE_URL\)\.$/,
    /^ {2}gRPC {5}localhost:\d+$/,
    /^ {2}console {2}http:\/\/localhost:\d+\/console\/$/,
    /^ {2}admin {4}http:\/\/localhost:\d+\/metrics$/,
    /^ {2}try {6}npx scrip account open acme --plan perfectparser --address localhost:\d+$/,
  ].map((pattern) => lines.findIndex((line) => pattern.test(line)));
  expect(order, shown).toEqual(order.toSorted((a, b) => a - b));
  expect(order, shown).not.toContain(-1);
});

test.each([
  [{}, 'npx scrip account open acme --plan perfectparser'],
  [{ HOST: '::1' }, 'npx scrip account open acme --plan perfectparser'],
  [
    { TLS_CERT_FILE: 'a.pem', TLS_KEY_FILE: 'b.pem', TLS_CLIENT_CA_FILE: 'c.pem' },
    '--plan perfectparser --ca CA_FILE --cert CERT_FILE --key KEY_FILE',
  ],
])('with %o the first command is one that reaches it', (env, command) => {
  const text = readyText(requireConfig(env), { port: 50_051, adminPort: null });
  expect(text).toContain(`${command}\n`);
  expect(text).not.toContain('admin');
  expect(text).not.toContain('/console/');
});

test.each([
  [{}, 9_464, true],
  [{ CONSOLE: 'false' }, 9_464, false],
])('with %o on port %i the console is named: %s', (env, adminPort, isNamed) => {
  const text = readyText(requireConfig(env), { port: 50_051, adminPort });
  expect(text.includes('http://localhost:9464/console/')).toBe(isNamed);
  expect(text).toContain('http://localhost:9464/metrics');
});
