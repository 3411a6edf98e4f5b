/**
 * Pages of the console in Debian's Chromium. A page fails its test if it writes an error to its console, breaks its
 * content security policy, or asks anything of another origin.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

/** Undefined: there is none on this machine, and the tests are reported as skipped. */
export const CHROMIUM = process.env['CHROMIUM'] ?? PATHS.find((path) => existsSync(path));

if (process.env['CHROMIUM_REQUIRED'] === 'true' && CHROMIUM === undefined)
  throw new Error('there is no Chromium: apt-get install chromium');

/** Only for a page that hangs. */
const TIMEOUT_MS = 60_000;

/** For what a page shows as soon as it can. */
export const PATIENCE = { timeout: TIMEOUT_MS };

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

// Programs of the page are texts: the types of tests know no DOM.
const RUN_AXE = `axe
  .run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
  .then(({ violations }) => violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => id + ': ' + html + '\\n' + failureSummary)))`;
const OVERHANG = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: CHROMIUM ?? '',
    // Tests run as root in containers, which have a small /dev/shm.
    args: ['--no-sandbox', '--disable-dev-shm-usage'],
  });

export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

export type Look = {
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: 'light' | 'dark';
  readonly timezoneId?: string;
};

/** A browser of a person, without anything of another one. */
export class Visit {
  readonly page: Page;
  readonly #context: BrowserContext;
  readonly #origin: string;
  readonly #faults: string[] = [];
  /** Faults that a test expects: the browser logs an answer that is an error. */
  readonly expected: RegExp[] = [];

  static async open(browser: Browser, origin: string, look: Look = {}): Promise<Visit> {
    const context = await browser.newContext({
      viewport: DESKTOP,
      colorScheme: 'light',
      timezoneId: 'Europe/Berlin',
      locale: 'en-GB',
      reducedMotion: 'reduce',
      ...look,
    });
    context.setDefaultTimeout(TIMEOUT_MS);
    return new Visit(context, await context.newPage(), origin);
  }

  private constructor(context: BrowserContext, page: Page, origin: string) {
    this.#context = context;
    this.page = page;
    this.#origin = origin;
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning')
        this.#faults.push(`console: ${message.text()} (${message.location().url})`);
    });
    page.on('pageerror', (error) => this.#faults.push(`error: ${error.stack ?? error.message}`));
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(`${origin}/`) && !url.startsWith('data:'))
        this.#faults.push(`asks another origin: ${url}`);
    });
  }

  /** Opens a path of the console, and waits until nothing is loading. */
  async go(path: string): Promise<Page> {
    await this.page.goto(`${this.#origin}/console/${path}`);
    await this.settled();
    return this.page;
  }

  async settled() {
    await this.page.waitForSelector('main h1, main [role=alert]');
    await this.page.locator('.waiting, [aria-busy=true]').first().waitFor({ state: 'detached' });
  }

  async signIn(token: string) {
    await this.go('');
    await this.page.getByLabel('Token').fill(token);
    await this.page.getByRole('button', { name: 'Sign in' }).click();
    await this.page.getByRole('button', { name: 'Sign out' }).waitFor();
    await this.settled();
  }

  /** The text of the page, with single spaces between its parts. */
  async text(): Promise<string> {
    return (await this.page.locator('body').innerText()).replace(/\s+/g, ' ');
  }

  /** Waits until the page shows a text. */
  async shows(text: string) {
    await expect.poll(() => this.text(), PATIENCE).toContain(text);
  }

  /** What axe finds wrong, with where. */
  async violations(): Promise<readonly string[]> {
    // A script element would break the content security policy of the page; this runs beside it.
    await this.page.evaluate(await readFile(AXE, 'utf8'));
    return (await this.page.evaluate(RUN_AXE)) as readonly string[];
  }

  /** By how many pixels the page is wider than the screen. */
  async tooWide(): Promise<number> {
    return Number(await this.page.evaluate(OVERHANG));
  }

  /** Closes it. Fails if anything was wrong meanwhile. */
  async close() {
    await this.#context.close();
    const isExpected = (fault: string) => this.expected.some((one) => one.test(fault));
    expect(this.#faults.filter((fault) => !isExpected(fault))).toEqual([]);
  }
}
