/** Commands that change an account: each names its request, so that it can be repeated without a second effect. */
import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import type { Scrip } from '../client.ts';
import type { Replay } from '../gen/billing/v1/ledger.ts';
import type { CommandText } from './command.ts';
import { NO_ANSWER } from './exit-codes.ts';
import { toJson } from './json.ts';
import { type Fact, facts, instant, printLines } from './print.ts';
import { CallError, type ServiceOptions, serviceCommand, withService } from './service-call.ts';

export type MutationOptions = ServiceOptions & { readonly requestId?: string };

export const mutationCommand = (name: string, text: CommandText): Command =>
  serviceCommand(name, text).option(
    '--request-id <id>',
    'names the change: a repetition with the same id has no second effect; default: a new one, which is printed',
  );

type Answer = { readonly replay?: Replay | undefined };

/** Calls the service with the request id, and prints what `show` makes of the answer. */
export async function change<Response extends Answer>(
  options: MutationOptions,
  call: (scrip: Scrip, requestId: string) => Promise<Response>,
  show: (response: Response) => Shown,
): Promise<number> {
  const requestId = options.requestId ?? randomUUID();
  const response = await withService(options, (scrip) => call(scrip, requestId)).catch(
    (error: unknown) => {
      throw error instanceof CallError ? withRequest(error, requestId) : error;
    },
  );
  const { json, said, below = [] } = show(response);
  if (options.json) printLines([toJson({ requestId, response: json }, 2)]);
  else printLines([...facts([...said, ...ending(response, requestId)]), ...below]);
  return 0;
}

export type Shown = {
  /** The response, with its enums by name. */
  readonly json: unknown;
  readonly said: readonly Fact[];
  /** A table, below what is said. */
  readonly below?: readonly string[];
};

const ending = ({ replay }: Answer, requestId: string): readonly Fact[] => [
  ...(replay
    ? [['repeated', `nothing was done: answered ${instant(replay.firstAnsweredAt)}`] as const]
    : []),
  ['request', requestId],
];

/** Says what became of the change, where the error does not. */
function withRequest({ message, exitCode, mayBeDone }: CallError, requestId: string): CallError {
  if (mayBeDone)
    return new CallError(
      `${message}; it may have been done: to be sure, repeat it with --request-id ${requestId}`,
      exitCode,
      mayBeDone,
    );
  return new CallError(exitCode === NO_ANSWER ? `${message}; nothing was done` : message, exitCode);
}
