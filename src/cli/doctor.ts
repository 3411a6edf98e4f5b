/** `doctor`: what is wrong with the database and this host, and what to do. */
import { styleText } from 'node:util';
import type { Diagnosis } from '../doctor/diagnose.ts';
import type { Level } from '../doctor/facts.ts';
import { visible } from '../visible-text.ts';
import { command, exitWith } from './command.ts';
import { UNWELL } from './exit-codes.ts';
import { toJson } from './json.ts';
import { toLimit } from './options.ts';
import { count, printLines } from './print.ts';
import { table } from './table.ts';

type Options = { readonly json: boolean; readonly replicas: number };

export const doctor = command('doctor', {
  description:
    'Examines the database, or that of each cell, as the user of its URL, and this host, and says what is wrong and what to do. Reads only. An ' +
    'error: the service does not work, or may lose or change what it acknowledged. Exits with 1 at an error.',
  examples: ['', '--replicas 3', '--json'],
})
  .option('--json', 'JSON instead of a table, with the facts that were read', false)
  .option('--replicas <number>', 'how many share the database', toLimit, 1)
  .action(
    exitWith(async ({ json, replicas }: Options) => {
      const [{ requireConfig }, { examine }, { diagnose }] = await Promise.all([
        import('../config.ts'),
        import('../doctor/examine.ts'),
        import('../doctor/diagnose.ts'),
      ]);
      const examined = await examine(requireConfig(process.env), replicas);
      const isOne = examined.length === 1;
      let exitCode = 0;
      for (const one of examined) {
        if ('error' in one && isOne) throw one.error;
        if (!isOne && !json) printLines([`cell ${one.cell}`]);
        if ('error' in one) {
          const { message, code } = one.error as Error & { code?: string };
          const error = message || String(code);
          printLines(json ? [toJson({ cell: one.cell, error }, 2)] : [`not ok: ${error}`]);
          exitCode = UNWELL;
          continue;
        }
        const { cell, facts } = one;
        const diagnosis = diagnose(facts);
        const named = { ...(isOne ? {} : { cell }), ...diagnosis, facts };
        printLines(json ? [toJson(named, 2)] : linesOf(diagnosis));
        if (diagnosis.findings.some(({ level }) => level === 'error')) exitCode = UNWELL;
      }
      return exitCode;
    }),
  );

/** Below each problem what to do. */
function linesOf({ checks, findings }: Diagnosis): readonly string[] {
  const [heading = '', ...rows] = table(
    [{ title: 'level' }, { title: 'about' }, { title: 'problem' }],
    findings.map(({ level, about, problem }) => [level, about, problem]),
  );
  const indent = ' '.repeat(heading.indexOf('problem'));
  const lines = rows.flatMap((row, index) => [
    row,
    `${indent}> ${visible(findings[index]?.advice ?? '')}`,
  ]);
  return [...(findings.length > 0 ? [heading, ...lines] : []), summaryOf({ checks, findings })];
}

function summaryOf({ checks, findings }: Diagnosis): string {
  const counts = (['error', 'warning', 'note'] as const).flatMap((level: Level) => {
    const many = findings.filter((finding) => finding.level === level).length;
    return many > 0 ? [count(many, level)] : [];
  });
  const isWell = findings.every(({ level }) => level !== 'error');
  const word = isWell ? styleText('green', 'ok', { stream: process.stdout }) : 'not ok';
  return `${word}: ${[...counts, `${checks} checks`].join(', ')}`;
}
