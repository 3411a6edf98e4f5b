/** Why a caller is not known. The message never repeats what the caller sent. */
import { Failure } from '../failure.ts';

/** What is missing or wrong, for programs: `problem` in the metadata of CALLER_UNKNOWN. */
export type Problem =
  | 'NO_CREDENTIALS'
  | 'CERTIFICATE_NOT_TRUSTED'
  | 'CERTIFICATE_WITHOUT_NAME'
  | 'TOKEN_NOT_ACCEPTED'
  | 'TOKEN_TOO_LONG'
  | 'TOKEN_MALFORMED'
  | 'TOKEN_ISSUER'
  | 'TOKEN_AUDIENCE'
  | 'TOKEN_ALGORITHM'
  | 'TOKEN_KEY'
  | 'TOKEN_SIGNATURE'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_NOT_YET_VALID'
  | 'TOKEN_CLAIM'
  | 'KEYS_UNAVAILABLE';

export const callerUnknown = (
  problem: Problem,
  text: string,
  metadata: Readonly<Record<string, string>> = {},
): Failure =>
  new Failure('CALLER_UNKNOWN', `the caller is not known: ${text}`, { problem, ...metadata });

/** Whether a certificate was shown that cannot be used. */
export const isShown = ({ metadata }: Failure): boolean =>
  metadata['problem'] !== ('NO_CREDENTIALS' satisfies Problem);

export const tokenExpired = (): Failure => callerUnknown('TOKEN_EXPIRED', 'the token has expired');

export const severalTokens = (): Failure =>
  callerUnknown('TOKEN_MALFORMED', 'the call has more than one authorization');
