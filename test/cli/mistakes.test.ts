/** What a person is told who mistypes: what is wrong, and what would be right. No service runs. */
import '../../src/telemetry/sdk.ts';
import { describe, expect, test } from 'vitest';
import { defaultCaller } from '../../src/cli/service-call.ts';
import { capture } from './in-process.ts';

/** The first line that is written, and the exit code. */
async function run(...args: string[]) {
  const { exitCode, lines } = await capture(args, {});
  return { exitCode, said: lines[0]?.text };
}

describe('a command', () => {
  test.each([
    [['help', 'charg'], 'there is no command "charg"; did you mean charge?'],
    [['charg', '--help'], 'there is no command "charg"; did you mean charge?'],
    [['purchases', 'bui'], 'there is no command "purchases bui"; did you mean buy?'],
    [
      ['account', 'opne'],
      'there is no command "account opne"; there are open, show, list, move, top-up, time-zone, suspend, resume, close',
    ],
  ])('%j does not exist', async (args, message) => {
    expect(await run(...args)).toEqual({
      exitCode: 2,
      said: `scrip: ${message}; --help lists the commands`,
    });
  });

  test.each([[['help', 'charge']], [['charge', '-h']]])('%j shows how it is used', async (args) => {
    expect(await run(...args)).toEqual({
      exitCode: 0,
      said: 'usage: scrip charge <account> [operation] [value...] [options]',
    });
  });
});

test.each([
  [
    ['charge', 'acme', '--credits', '9999999999999999999'],
    "option '--credits <number>' argument '9999999999999999999' is invalid. It must be a whole number of credits, at most 999999999999999999",
  ],
  [
    ['refund', 'acme', 'four', '--all', '--reason', 'x'],
    "argument '<seq>' is invalid: 'four'. It must be a whole number, 1 or more",
  ],
  [
    ['completion', 'powershell'],
    "argument '<shell>' is invalid: 'powershell'. Allowed choices are bash, zsh, fish",
  ],
])('%j says what a value must be', async (args, message) => {
  const { exitCode, said } = await run(...args);
  expect(exitCode).toBe(2);
  expect(said).toMatch(`scrip: ${message}; usage: `);
});

test.each([
  'localhost',
  'http://localhost:50051',
  'localhost:50051/',
  'localhost:99999',
  'localhost:0',
  ':50051',
  'fe80::1',
  'a:1,localhost',
])('"%s" is no address', async (address) => {
  const { exitCode, said } = await run('balance', 'acme', '--address', address);
  const wrong = address.split(',').at(-1);
  expect(exitCode).toBe(2);
  expect(said).toMatch(
    `scrip: "${wrong}" is no address of a service: it must be host:port, such as localhost:50051; usage: `,
  );
});

test.each(['127.0.0.1:1', '[::1]:1', 'dns:///localhost:1', 'ipv4:127.0.0.1:1', 'unix:/nowhere'])(
  '"%s" is an address, on which nothing answers',
  async (address) => {
    const { exitCode, said } = await run('balance', 'acme', '--address', address);
    expect(exitCode).toBe(3);
    expect(said).toContain(`no service answers on ${address} `);
  },
);

test('a caller is named in ASCII', async () => {
  const { exitCode, said } = await run('balance', 'acme', '--caller', 'jürgen');
  expect(exitCode).toBe(2);
  expect(said).toMatch('scrip: --caller must be of printable ASCII characters; usage: ');
});

describe('without --caller it is the user of the machine', () => {
  const nameless = (): string => {
    throw new Error('ENOENT');
  };
  test.each([
    ['whose name is ASCII', () => 'anna', 'operator:anna'],
    ['whose name is not', () => 'jürgen', 'operator:j%C3%BCrgen'],
    ['who has none, as in a container', nameless, 'operator'],
  ])('%s', (_, username, caller) => expect(defaultCaller(username)).toBe(caller));
});
