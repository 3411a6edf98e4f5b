/** What pages name is there: pages and their sections, commands, and who runs what a page shows. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LANGUAGES } from '../clients/languages.ts';
import { ELSEWHERE, NOT_RUN, READ, root, SANDBOX, TYPED, WITH_GRPCURL } from './register.ts';
import { snippetsOf } from './snippets.ts';

const pages = globSync(
  '{*.md,docs/**/*.md,clients/**/*.md,deploy/**/*.md,examples/**/*.md,src/**/*.md}',
  {
    cwd: root,
    exclude: ['**/node_modules'],
  },
).sort();

const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');
const withoutBlocks = (text: string): string => text.replace(/^ *```.*?^ *```$/gms, '');

/** Anchors of a page, as GitHub makes them of its headings. */
const anchorsOf = (page: string): readonly string[] =>
  [...withoutBlocks(textOf(page)).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );

/** The links of a page that lead to nothing. */
function brokenLinks(page: string): readonly string[] {
  const links = [...withoutBlocks(textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)].map(
    ([, link = '']) => link,
  );
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : relative(root, join(root, dirname(page), path));
    if (!existsSync(join(root, target))) return true;
    return anchor !== undefined && target.endsWith('.md') && !anchorsOf(target).includes(anchor);
  });
}

test.each(pages)('the links of %s lead somewhere', (page) => {
  expect(brokenLinks(page)).toEqual([]);
});

test('every npm command on a page is there', () => {
  const scripts = (folder: string) =>
    Object.keys(JSON.parse(textOf(join(folder, 'package.json'))).scripts ?? {});
  const known = new Set([...scripts('.'), ...scripts('examples/rest-edge')]);
  const named = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\bnpm run (?:--silent )?([a-z][\w:-]*)/g)].map(
      ([, script = '']) => script,
    ),
  );
  expect(named.filter((script) => !known.has(script))).toEqual([]);
});

/** Languages of snippets that somebody would type or paste. */
const RUN = ['sh', 'js', 'ts', 'sql'];

const runOf = (page: string): readonly string[] =>
  snippetsOf(page)
    .filter(({ language }) => RUN.includes(language))
    .map(({ content }) => content);

/** Which of the beginnings are those of a snippet: the longest counts. */
const keyOf = (content: string, beginnings: readonly string[]): string | undefined =>
  beginnings
    .filter((beginning) => content.startsWith(beginning))
    .toSorted((a, b) => b.length - a.length)[0];

/** Whether a test reads the page: it names its path, or its file in the folder that the test is for. */
function isReadBy(test: string, page: string): boolean {
  const isOfLanguage = LANGUAGES.some(({ id }) => page === `docs/clients/${id}.md`);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: as the test for all languages has it
  const names = [page, basename(page), ...(isOfLanguage ? ['${language.id}.md'] : [])];
  const text = textOf(test);
  return names.some((name) => text.includes(`${name}'`) || text.includes(`${name}\``));
}

const COMMAND = /^(npm|npx|scrip)\s/;

describe('what runs', () => {
  // Pages in src/ are for those who change it.
  const withCode = pages.filter((page) => !page.startsWith('src/') && runOf(page).length > 0);

  test('of every page with commands or code it is known what runs them', () => {
    const known = [...READ, SANDBOX, ...WITH_GRPCURL, ...Object.keys(ELSEWHERE)];
    expect(withCode.toSorted()).toEqual(known.toSorted());
  });

  const elsewhere = Object.entries(ELSEWHERE).map(([page, checks]) => ({ page, checks }));

  test.each(elsewhere)('$page: each snippet has what runs it', ({ page, checks }) => {
    const contents = runOf(page);
    const keys = contents.map((content) => keyOf(content, Object.keys(checks)));
    const unknown = contents.filter((_, at) => keys[at] === undefined);
    expect(unknown).toEqual([]);
    expect([...new Set(keys)].toSorted()).toEqual(Object.keys(checks).toSorted());
  });

  test.each(elsewhere)('$page is read by the tests that run it', ({ page, checks }) => {
    for (const check of Object.values(checks)) {
      if (check === TYPED) continue; // It reads the pages of the register.
      if (!check.startsWith('test/')) expect(textOf(page)).toContain(check);
      else expect({ check, isReadBy: isReadBy(check, page) }).toEqual({ check, isReadBy: true });
    }
  });

  test.each(elsewhere)('$page: what is typed is commands of ours', ({ page, checks }) => {
    const typed = runOf(page).filter(
      (content) => checks[keyOf(content, Object.keys(checks)) ?? ''] === TYPED,
    );
    const lines = typed.flatMap((content) => content.trim().replaceAll('\\\n', '').split('\n'));
    expect(lines.filter((line) => !COMMAND.test(line))).toEqual([]);
  });

  test('what is not run is on a page', () => {
    const text = WITH_GRPCURL.map(textOf).join('\n');
    for (const command of Object.keys(NOT_RUN)) expect(text).toContain(command);
  });
});
