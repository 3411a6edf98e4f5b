/** `events`: what has happened, and what happens. */
import { Event } from '../gen/billing/v1/event_service.ts';
import { visible } from '../visible-text.ts';
import { exitWith, write } from './command.ts';
import { named, toJson } from './json.ts';
import { instant, labelsText } from './print.ts';
import { type ServiceOptions, serviceCommand, withService } from './service-call.ts';
import { headingOf } from './table.ts';

type Options = ServiceOptions & {
  readonly account: string;
  readonly type: readonly string[];
  readonly after: string;
  readonly follow: boolean;
};

export const events = serviceCommand('events', {
  description:
    'Lists events from the first one on; with --follow also those to come. The last line, on stderr, says how to go on ' +
    'after them. With --json one object per line.',
  examples: ['--account acme', '--type balance.low statement.closed --follow --json'],
})
  .option('--account <account>', 'only events of this account', '')
  .option('--type <type...>', 'only these, such as balance.low', [])
  .option('--after <token>', 'only those after this place, which an earlier run has named', '')
  .option('--follow', 'wait for more, until it is interrupted', false)
  .action(
    exitWith(async (options: Options) => {
      const { account: accountId, type: types, follow, json } = options;
      let afterToken = options.after;
      if (!json) await write(process.stdout, `${headingOf(HEADING)}\n`);
      await withService(options, async (scrip) => {
        // The next address goes on where the one before has ended.
        const request = { afterToken, types: [...types], accountId, follow };
        for await (const { events, nextToken } of scrip.events.streamEvents(request)) {
          for (const event of events)
            await write(process.stdout, `${json ? toJson(named(Event, event)) : lineOf(event)}\n`);
          afterToken = nextToken;
        }
      });
      if (afterToken) process.stderr.write(`to go on: --after ${afterToken}\n`);
      return 0;
    }),
  );

/** As wide as most values: what follows is not known yet. */
const inColumns = ([
  position = '',
  at = '',
  type = '',
  account = '',
  data = '',
]: readonly string[]) =>
  `${position.padStart(8)}  ${at.padEnd(24)}  ${type.padEnd(20)}  ${account.padEnd(20)}  ${data}`.trimEnd();

const HEADING = inColumns(['position', 'at', 'type', 'account', 'data']);

const lineOf = ({ position, at, type, accountId, data }: Event): string =>
  inColumns(
    [position.toString(), instant(at), type, accountId, labelsText(data)].map((cell) =>
      visible(cell),
    ),
  );
