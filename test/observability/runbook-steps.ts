/** Does what a section of the runbook says under "Look", as somebody would who knows nothing else. */
import { readFileSync } from 'node:fs';
import { runScrip } from '../cli/run-scrip.ts';
import type { Alert } from './real-prometheus.ts';
import { DEPLOYED } from './rule-files.ts';

export type Step = { readonly command: string; readonly stdout: string; readonly exitCode: number };

/** Words of the runbook's commands that stand for something, and the column of `scrip refusals` that has it. */
const COLUMNS = { RESERVATION: 'reservation', TRACE: 'trace', ACCOUNT: 'account' } as const;

/** The commands of its first block, without what they are for. */
function commandsFor({ annotations }: Alert): readonly string[] {
  const [file = '', anchor = ''] = (annotations['runbook_url'] ?? '').split('#');
  const page = readFileSync(`${DEPLOYED}../../${file}`, 'utf8');
  const section = page
    .split(/^## /m)
    .find((each) => each.slice(0, each.indexOf('\n')).toLowerCase() === anchor);
  const [, block = ''] = /```sh\n(.*?)```/s.exec(section ?? '') ?? [];
  return block
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, ''))
    .filter((line) => line.startsWith('scrip '));
}

/** Fills in what the alert and the newest refusal say. A command for which they say nothing is left out. */
export async function look(alert: Alert, address: string): Promise<readonly Step[]> {
  const steps: Step[] = [];
  const known = new Map([['REASON', alert.labels['scrip_reason'] ?? '']]);
  for (const command of commandsFor(alert)) {
    const words = command.split(' ').slice(1);
    const filled = words.map((word) => known.get(word) ?? (word in COLUMNS ? '' : word));
    if (filled.includes('')) continue;
    const { stdout, exitCode } = await runScrip(filled, { SCRIP_ADDRESS: address });
    steps.push({ command: `scrip ${filled.join(' ')}`, stdout, exitCode });
    if (filled[0] === 'refusals')
      for (const [word, column] of Object.entries(COLUMNS)) known.set(word, cell(stdout, column));
  }
  return steps;
}

/** The value of a column in the first row of a table; empty if there is none. */
function cell(text: string, column: string): string {
  const [heading = '', row = ''] = text.split('\n');
  const start = heading.search(new RegExp(`\\b${column}\\b`));
  return start < 0 ? '' : (/^\S*/.exec(row.slice(start))?.[0] ?? '');
}
