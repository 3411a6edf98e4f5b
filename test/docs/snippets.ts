/** Blocks of code on pages, for the suites that run them. */
import { readFileSync } from 'node:fs';

const root = new URL('../..', import.meta.url).pathname;

export type Snippet = { readonly language: string; readonly content: string };

/** All of a page, in its order, without the indentation of lists. `page` is relative to the root. */
export function snippetsOf(page: string): readonly Snippet[] {
  const markdown = readFileSync(`${root}${page}`, 'utf8');
  const blocks = markdown.matchAll(/^( *)```(\w+)\n(.*?)^ *```$/gms);
  return [...blocks].map(([, indentation = '', language = '', content = '']) => ({
    language,
    content: content.replaceAll(new RegExp(`^${indentation}`, 'gm'), ''),
  }));
}

/** The contents of the snippets in a language. Throws if there are none. */
export function codeOf(page: string, language: string): readonly string[] {
  const found = snippetsOf(page).filter((snippet) => snippet.language === language);
  if (found.length === 0) throw new Error(`${page} has nothing in ${language}`);
  return found.map(({ content }) => content);
}

/** The one snippet that begins so. Throws if there is none, or another one. */
export function snippet(page: string, beginning: string): string {
  const [found, ...others] = snippetsOf(page).filter(({ content }) =>
    content.startsWith(beginning),
  );
  if (!found || others.length > 0) throw new Error(`${page}: not one snippet begins ${beginning}`);
  return found.content;
}
