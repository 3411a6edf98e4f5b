/** The pages of docs/clients/: what they tell a reader to run, and the code that they show. */
import { readFileSync } from 'node:fs';

const root = new URL('../..', import.meta.url).pathname;

type Block = { readonly section: string; readonly language: string; readonly content: string };

/** One block of commands, with what the page says that they print, if it says so. */
export type Step = {
  readonly section: string;
  readonly script: string;
  readonly output: string | null;
};

const isBlock = (block: Block | undefined, language: string): block is Block =>
  block?.language === language;

function blocksOf(page: string): readonly Block[] {
  const markdown = readFileSync(`${root}docs/clients/${page}`, 'utf8');
  const blocks: Block[] = [];
  let section = '';
  for (const [, heading, language = '', content = ''] of markdown.matchAll(
    /^## ([^\n]*)$|^```(\w+)\n(.*?)^```$/gms,
  ))
    if (heading !== undefined) section = heading;
    else blocks.push({ section, language, content });
  return blocks;
}

/** What the page tells to run, in its order. */
export function stepsOf(page: string): readonly Step[] {
  const blocks = blocksOf(page);
  return blocks.flatMap((block, index) => {
    if (!isBlock(block, 'sh')) return [];
    const next = blocks[index + 1];
    const output = isBlock(next, 'text') ? next.content : null;
    return [{ section: block.section, script: block.content, output }];
  });
}

/** The code that the page shows, in `language`. */
export const snippetsOf = (page: string, language: string): readonly string[] =>
  blocksOf(page)
    .filter((block) => isBlock(block, language))
    .map(({ content }) => content);
