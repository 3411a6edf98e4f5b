/** What a person sees who types commands: transcripts for golden files, without what differs from run to run. */
import { hostname } from 'node:os';
import type { Captured } from './in-process.ts';

const root = new URL('../..', import.meta.url).pathname;

/** A replica is named by its host. */
const REPLICA = new RegExp(`${hostname().replaceAll('.', '\\.')}-[0-9a-f]{8}`, 'g');

/** Names ids and the like by the order in which a transcript shows them. */
export class Masks {
  readonly #names = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  #name(kind: string, value: string): string {
    const known = this.#names.get(value);
    if (known) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const name = `<${kind}-${count}>`;
    this.#names.set(value, name);
    return name;
  }

  apply(text: string): string {
    return (
      text
        .replaceAll(root, '')
        .replaceAll(REPLICA, '<replica>')
        .replaceAll(
          /postgres:\/\/[^\s/]+\/\w+/g,
          'postgres://<user>:<password>@127.0.0.1:<port>/scrip',
        )
        .replaceAll(/\/test_[0-9a-f]{32}\b/g, '/<database>')
        .replaceAll(/\/tmp\/[\w-]+/g, '<directory>')
        .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => this.#name('id', id))
        .replaceAll(/\b[0-9a-f]{64}\b/g, (hash) => this.#name('hash', hash))
        .replaceAll(/\b[0-9a-f]{32}\b/g, (id) => this.#name('trace', id))
        .replaceAll(/\b[0-9a-f]{16}\b/g, (id) => this.#name('span', id))
        .replaceAll(/(127\.0\.0\.1|localhost):\d{4,5}\b/g, '$1:<port>')
        // Real time: the service of the tests stands in 2031.
        .replaceAll(/20[23]\d-\d\d-\d\dT[\d:.-]+Z/g, (at) =>
          at.startsWith('2031') ? at : '<instant>',
        )
        .replaceAll(/^(nothing to archive before )20(?:2[1-9]|[3-9]\d)-\d\d$/gm, '$1<month>')
        .replaceAll(/^(moved +)\d+[dhms].*$/gm, '$1<length>')
        .replaceAll(/-?\d+(\.\d+)? m?s\b(?! left)/g, '<time>')
        .replaceAll(/<time> (ahead of|behind)/g, '<time> from')
        .replaceAll(/--after \S+/g, '--after <token>')
    );
  }
}

type Shape = {
  readonly linesMax?: number;
  /** The widths of columns differ from run to run. */
  readonly isSqueezed?: boolean;
};

/** One command with what it wrote: "!" marks what goes to stderr. */
export function transcriptOf(
  args: readonly string[],
  { exitCode, lines }: Captured,
  masks: Masks,
  { linesMax = Infinity, isSqueezed = false }: Shape = {},
): string {
  const typed = ['scrip', ...args].map((arg) => (/^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg}'`));
  const shown = lines.map(({ stream, text }) => `${stream === 'stderr' ? '! ' : ''}${text}`);
  const rest = shown.length > linesMax ? [`... ${shown.length - linesMax} more lines`] : [];
  const all = [`$ ${typed.join(' ')}`, ...shown.slice(0, linesMax), ...rest, `[${exitCode}]`];
  const masked = all.map((line) => masks.apply(line).trimEnd());
  return `${masked.map((line) => (isSqueezed ? line.replace(/ {2,}/g, '  ') : line)).join('\n')}\n`;
}
