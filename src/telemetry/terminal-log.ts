/** The log as people read it on a terminal: one line of text for each line of JSON, and stacks below it. */
import { styleText } from 'node:util';
import { levels } from 'pino';
import { visible, visibleJson } from '../visible-text.ts';

type Line = Readonly<Record<string, unknown>> & {
  readonly level: number;
  readonly time: number;
  readonly msg?: string;
};
type Format = Parameters<typeof styleText>[0];

const FORMATS: Readonly<Record<string, Format>> = {
  warn: 'yellow',
  error: 'red',
  fatal: 'red',
};
/** Every line of this process has the same. */
const LEFT_OUT = new Set(['level', 'time', 'msg', 'service', 'err']);

/** What pino writes to, in place of a file. `write` is given text for the terminal. */
export const terminalLog = (write: (text: string) => unknown) => ({
  write: (json: string) => void write(toText(JSON.parse(json))),
});

function toText(line: Line): string {
  const level = levels.labels[line.level] ?? '';
  const time = new Date(line.time).toISOString().slice(11, 23);
  const title = styleText(
    FORMATS[level] ?? 'bold',
    `${level.toUpperCase().padEnd(5)} ${line.msg ?? ''}`,
  );
  const fields = Object.entries(line)
    .filter(([name]) => !LEFT_OUT.has(name))
    .map(([name, value]) => `${styleText('dim', `${name}=`)}${toShown(value)}`);
  return `${[styleText('dim', time), title, ...fields].join(' ')}\n${stackOf(line['err'])}`;
}

/** Text that callers chose must not move the cursor, or pass for other lines. */
const toShown = (value: unknown): string =>
  typeof value === 'string' && visible(value) === value
    ? value
    : visibleJson(JSON.stringify(value));

/** Errors as pino's serializer writes them. */
function stackOf(error: unknown): string {
  const { stack, message } = (error ?? {}) as {
    readonly stack?: string;
    readonly message?: string;
  };
  const text = stack ?? message ?? '';
  return text && `${text.replace(/[^\n\P{Cc}]/gu, '?').replace(/^/gm, '    ')}\n`;
}
