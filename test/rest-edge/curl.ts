/** Runs curl, and reads what it was answered. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Answer = {
  readonly status: number;
  /** By their names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: unknown;
};

/** A line of curl as a page shows it, run by a shell with more options after it. */
export async function curl(line: string, ...options: readonly string[]): Promise<Answer> {
  const script = `${line} --silent --show-error --include "$@"`;
  const { stdout } = await run('bash', ['-euc', script, 'curl', ...options]);
  const end = stdout.indexOf('\r\n\r\n');
  const [first = '', ...lines] = stdout.slice(0, end).split('\r\n');
  const headers = lines.map((header): [string, string] => {
    const [name = '', ...value] = header.split(': ');
    return [name.toLowerCase(), value.join(': ')];
  });
  return {
    status: Number(first.split(' ')[1]),
    headers: new Map(headers),
    body: JSON.parse(stdout.slice(end)),
  };
}
