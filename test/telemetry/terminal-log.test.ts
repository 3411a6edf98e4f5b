/** The log on a terminal. */
import { stripVTControlCharacters } from 'node:util';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { terminalLog } from '../../src/telemetry/terminal-log.ts';

/** What the terminal shows, without colours. */
const shown = (log: (logger: pino.Logger) => void): string =>
  stripVTControlCharacters(shownRaw(log));

function shownRaw(log: (logger: pino.Logger) => void): string {
  let text = '';
  const terminal = terminalLog((more) => {
    text += more;
  });
  log(pino({ base: { service: 'scrip' } }, terminal));
  return text;
}

test('a line has the time, the level, what happened, and its fields by name', () => {
  const line = { 'scrip.credits': 5, 'scrip.caller': 'test', detail: 'not enough', plans: ['a'] };
  expect(shown((log) => log.info(line, 'call refused'))).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} INFO {2}call refused scrip\.credits=5 scrip\.caller=test detail=not enough plans=\["a"\]\n$/,
  );
});

test('an error is shown with its stack', () => {
  const text = shown((log) => log.error({ err: new Error('broken'), account_id: 'a' }, 'bug'));
  const [first, second, third] = text.split('\n');
  expect(first).toMatch(/ERROR bug account_id=a$/);
  expect(second).toBe('    Error: broken');
  expect(third).toMatch(/^ {8}at .*terminal-log\.test\.ts/);
});

test('text that a caller chose does not move the cursor', () => {
  const clear = '\u001b[2J';
  const err = new Error(clear);
  expect(shownRaw((log) => log.info({ name: clear, err }, 'x'))).not.toContain(clear);
  // 8-bit controls, and text that turns around what follows.
  const others = '\u009b2J\u202e';
  const text = shownRaw((log) => log.info({ name: others, names: [others] }, 'x'));
  expect(text).not.toMatch(/[\u0080-\u009f\p{Cf}]/u);
});
