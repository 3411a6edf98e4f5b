/** Why a person acts: a field of the request where there is one, else a header and a line of the log. */
import type { IncomingMessage } from 'node:http';
import type { Message } from '@bufbuild/protobuf';
import type { Logger } from 'pino';
import { ConsoleError } from './console-error.ts';
import { fieldOf, type OfferedMethod } from './offered-methods.ts';

const HEADER = 'x-scrip-reason';
const LENGTH_MAX = 256;

/** Keys of the line of log, by fields of the request. */
const LOGGED = {
  account_id: 'accountId',
  request_id: 'requestId',
  reservation_id: 'reservationId',
  event_id: 'eventId',
};

/** Null: the request has a field for it, which the service checks. Throws a ConsoleError if it is missing. */
export function reasonOf(
  { headers }: Pick<IncomingMessage, 'headers'>,
  { input }: OfferedMethod,
): string | null {
  if (input.field['reason']) return null;
  const reason = decoded(String(headers[HEADER] ?? '')).trim();
  if (reason !== '' && reason.length <= LENGTH_MAX && !/\p{Cc}/u.test(reason)) return reason;
  throw ConsoleError.own(
    'CONSOLE_REASON_MISSING',
    `${HEADER} must say why, in 1 to ${LENGTH_MAX} characters, percent-encoded`,
  );
}

/** `status`: "OK", or the name of the status that the call ended with. */
export function logReason(
  log: Logger,
  caller: string,
  { name }: OfferedMethod,
  message: Message,
  reason: string,
  status: string,
) {
  const named = Object.entries(LOGGED).map(([key, field]) => [key, fieldOf(message, field)]);
  const ids = Object.fromEntries(named.filter(([, value]) => value));
  log.info({ method: name, caller, ...ids, reason, status }, 'reason of an action');
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}
