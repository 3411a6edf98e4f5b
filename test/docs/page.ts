/** What a page tells its reader to do, in order. */

export type Step =
  /** A paragraph that ends with "`name`:" names the file that the block after it is. */
  | { readonly kind: 'write'; readonly file: string; readonly content: string }
  | {
      readonly kind: 'run';
      readonly script: string;
      /** What the page says that it prints. Null: it does not say. */
      readonly output: string | null;
    };

type Block = { readonly before: string; readonly language: string; readonly content: string };

/** Blocks that are looked at, and not done. */
const DRAWINGS = ['mermaid'];

function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let end = 0;
  for (const match of markdown.matchAll(/^```(\w+)\n(.*?)^```$/gms)) {
    const [whole, language = '', content = ''] = match;
    blocks.push({ before: markdown.slice(end, match.index).trim(), language, content });
    end = match.index + whole.length;
  }
  return blocks.filter(({ language }) => !DRAWINGS.includes(language));
}

/** Throws if a block is neither a file, nor commands, nor what the commands before it print. */
export function stepsOf(markdown: string): readonly Step[] {
  const steps: Step[] = [];
  for (const { before, language, content } of blocksOf(markdown)) {
    const [, file] = /`([\w-]+\.\w+)`:$/.exec(before) ?? [];
    const last = steps.at(-1);
    if (file !== undefined) steps.push({ kind: 'write', file, content });
    else if (language === 'sh') steps.push({ kind: 'run', script: content, output: null });
    else if (isOutput(language, before) && last?.kind === 'run')
      steps[steps.length - 1] = { ...last, output: content };
    else throw new Error(`a block is neither run nor compared:\n${content}`);
  }
  return steps;
}

/** Text directly after its commands. */
const isOutput = (language: string, before: string): boolean =>
  language === 'text' && before === '';

/** A pattern of what a page shows, in which … stands for anything. */
export function patternOf(output: string): RegExp {
  const parts = output.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*').trimEnd()}\\n?$`);
}
