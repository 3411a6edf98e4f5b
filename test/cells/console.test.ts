/** What the console's page asks of the cells, and who may. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Browser } from '../console/browser-client.ts';
import { startSignedIn } from '../console/signed-in.ts';
import { startTestService, type TestService } from '../service.ts';
import { publishInBoth, startTwoCells, type TwoCells } from './installation.ts';

/** As `DatabaseProbe` has it. */
const FAILURES = 3;

let two: TwoCells;
let scrip: TestService;
let browser: Browser;
beforeAll(async () => {
  two = await startTwoCells();
  await publishInBoth(two);
  scrip = await startTestService({ installation: two.installation, env: { ADMIN_PORT: '0' } });
  browser = new Browser(scrip);
});
afterAll(async () => {
  await scrip?.stop();
  await two?.stop();
});

const ask = async (path: string, of = browser) => {
  const { status, text } = await of.send({ path: `/console/api/${path}` });
  return { status, json: JSON.parse(text) };
};
const cells = (isReachable: boolean) => ({
  status: 200,
  json: {
    cells: [
      { name: 'one', isReachable: true, slots: 2_048 },
      { name: 'two', isReachable, slots: 2_048 },
    ],
  },
});

test('the session says how many there are, and the page names the cell of an account', async () => {
  expect(await browser.session()).toMatchObject({ cells: 2 });
  for (const cell of ['one', 'two']) {
    const id = two.idIn(cell, 'tenant:4/2 & more');
    expect(await ask(`cell?${new URLSearchParams({ account: id })}`)).toEqual({
      status: 200,
      json: { cell },
    });
  }
});

test('a cell that is down is shown', async () => {
  expect(await ask('cells')).toEqual(cells(true));
  await two.network.close();
  try {
    for (let failure = 0; failure < FAILURES; failure++) await scrip.service.probeDatabase();
    expect(await ask('cells')).toEqual(cells(false));
    expect(await ask(`cell?account=${two.idIn('two')}`)).toMatchObject({ json: { cell: 'two' } });
  } finally {
    await two.network.open();
  }
  await scrip.service.probeDatabase();
  expect(await ask('cells')).toEqual(cells(true));
});

test('the cells are for those who see the figures of the service, an account’s for those who read it', async () => {
  const rules = `
  - { id: "staff:operator", roles: [operator] }
  - { id: "staff:payments", roles: [payments] }`;
  const signedIn = await startSignedIn(rules);
  try {
    const operator = await signedIn.browserOf('operator');
    const payments = await signedIn.browserOf('payments');
    expect(await ask('cells', operator)).toMatchObject({
      status: 200,
      json: { cells: [{ name: 'default', isReachable: true, slots: 4_096 }] },
    });
    for (const [path, of] of [
      ['cells', payments],
      ['cells', new Browser(signedIn)],
      ['cell?account=acme', new Browser(signedIn)],
    ] as const)
      expect((await ask(path, of)).status, path).toBeGreaterThanOrEqual(400);
  } finally {
    await signedIn.stop();
  }
});
