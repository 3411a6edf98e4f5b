/** How commands call a running service: its address, what they show to it, and what its errors mean. */
import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { styleText } from 'node:util';
import { type Metadata, status } from '@grpc/grpc-js';
import type { Command } from 'commander';
import { type ConnectOptions, connect, type Scrip, ScripError } from '../client.ts';
import { connectOptions } from '../client-environment.ts';
import { requireConfig } from '../config.ts';
import type { PackOffer } from '../gen/billing/v1/pricing.ts';
import { argumentError, type CommandText, command } from './command.ts';
import { FAILED, NO_ANSWER, NOT_ENOUGH_CREDITS, NOT_FOUND, REFUSED } from './exit-codes.ts';
import { isUnanswered, mayBeDone } from './may-be-done.ts';
import { type Profile, readProfile } from './profile.ts';

const DEADLINE_MS = 30_000;

/** The options of `serviceCommand`. */
export type ServiceOptions = {
  readonly address?: string;
  readonly profile?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly tokenFile?: string;
  readonly caller?: string;
  readonly json: boolean;
};

/** A command that calls a running service. */
export const serviceCommand = (name: string, text: CommandText): Command =>
  command(name, text)
    .option('--json', 'JSON instead of a table', false)
    .option(
      '--address <host:port>',
      'the service, or several, of which the next is asked where one does not answer; default: SCRIP_ADDRESS, the default profile, else localhost:PORT',
    )
    .option('--profile <name>', 'a service of ~/.config/scrip/config.yaml; default: SCRIP_PROFILE')
    .option('--ca <file>', 'CAs of a service with TLS; default: SCRIP_CA_FILE')
    .option('--cert <file>', 'client certificate; default: SCRIP_CERT_FILE')
    .option('--key <file>', 'its key; default: SCRIP_KEY_FILE')
    .option('--token-file <file>', 'bearer token; default: SCRIP_TOKEN_FILE')
    .option(
      '--caller <name>',
      'name of the caller, for a service that authenticates nobody; default: operator:USER',
    )
    .addHelpText(
      'after',
      '\nexit codes: 0 done, 1 not found, 2 wrong usage, 3 no service answers, 4 it refuses the call, 6 not enough credits',
    );

/**
 * The profile counts as a whole: what it shows is meant for its own service. It is the one that was named, or the
 * default one where no address is named.
 */
function profileOf({ address, profile }: ServiceOptions): Profile | null {
  const named = profile || process.env['SCRIP_PROFILE'] || undefined;
  if (named === undefined && (address || process.env['SCRIP_ADDRESS'])) return null;
  return readProfile(named, process.env);
}

export function addressesOf(options: ServiceOptions): readonly string[] {
  const configured = profileOf(options)?.address || process.env['SCRIP_ADDRESS'];
  const addresses = (
    options.address ||
    configured ||
    `localhost:${requireConfig(process.env).PORT}`
  )
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  if (addresses.length === 0) throw argumentError('--address must be host:port');
  const wrong = addresses.find((one) => !isAddress(one));
  if (wrong !== undefined)
    throw argumentError(
      `"${wrong}" is no address of a service: it must be host:port, such as localhost:50051`,
    );
  return addresses;
}

/** Without a port, gRPC would try 443; with a scheme that it does not know, it would look for a host of that name. */
function isAddress(text: string): boolean {
  if (/^(dns|ipv4|ipv6|unix|unix-abstract):/.test(text)) return true;
  const [, port] = /^(?:\[[^\]]+\]|[^:/[\]]+):(\d{1,5})$/.exec(text) ?? [];
  return port !== undefined && Number(port) > 0 && Number(port) < 65_536;
}

/** What the command shows to the service. */
export function shownTo(options: ServiceOptions): ConnectOptions {
  const { ca, cert, key, tokenFile, caller } = options;
  const profile = profileOf(options);
  if (caller && !/^[\x20-\x7e]+$/.test(caller))
    throw argumentError('--caller must be of printable ASCII characters');
  return connectOptions(
    {
      ...(profile?.environment ?? process.env),
      ...(ca && { SCRIP_CA_FILE: ca }),
      ...(cert && { SCRIP_CERT_FILE: cert }),
      ...(key && { SCRIP_KEY_FILE: key }),
      ...(tokenFile && { SCRIP_TOKEN_FILE: tokenFile }),
    },
    caller || profile?.caller || defaultCaller(),
  );
}

/** "operator:USER". A header carries ASCII only, and a user of a container may have no name. */
export function defaultCaller(username = () => userInfo().username): string {
  try {
    return `operator:${encodeURI(username())}`;
  } catch {
    return 'operator';
  }
}

/**
 * Calls the service; what it answers with an error becomes a CallError. Where an address does not answer, `use` is called
 * again with the next.
 */
export async function withService<Result>(
  options: ServiceOptions,
  use: (scrip: Scrip) => Promise<Result>,
): Promise<Result> {
  const addresses = addressesOf(options);
  let done = false;
  for (const [index, address] of addresses.entries())
    try {
      return await withAddress(address, options, use);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      const { message, exitCode } = error;
      done ||= error.mayBeDone;
      if (exitCode !== NO_ANSWER || index === addresses.length - 1)
        throw new CallError(message, exitCode, done);
    }
  throw new Error('no service has an address');
}

async function withAddress<Result>(
  address: string,
  options: ServiceOptions,
  use: (scrip: Scrip) => Promise<Result>,
): Promise<Result> {
  let sandboxTime: number | null = null;
  const onTrailers = (trailers: Metadata) => {
    if (trailers.get(SANDBOX_KEY).length > 0) sandboxTime = Number(trailers.get(TIME_KEY)[0]);
  };
  const scrip = connect(address, { ...shownTo(options), onTrailers });
  try {
    return await untilAdmitted(() => use(scrip));
  } catch (error) {
    throw error instanceof ScripError ? toCallError(error, address) : error;
  } finally {
    markSandbox(sandboxTime);
    scrip.close();
  }
}

/** In the trailers of answers. */
const SANDBOX_KEY = 'scrip-sandbox';
const TIME_KEY = 'scrip-time';

/** Nobody should take what a sandbox says for true: beside the output. */
function markSandbox(time: number | null) {
  if (time === null) return;
  const at = Number.isNaN(time) ? '' : `; its time is ${new Date(time).toISOString()}`;
  const mark = styleText('yellow', 'sandbox', { stream: process.stderr });
  process.stderr.write(`${mark}, not for production${at}\n`);
}

/** Waits between attempts of a call that an overload keeps out, in milliseconds. */
const WAITS_MS = [100, 200, 400, 800, 1_600, 3_200] as const;

/** During an overload operators have to look all the more: repeats a read that is refused for it, as callers should. */
export async function untilAdmitted<Result>(read: () => Promise<Result>): Promise<Result> {
  for (const waitMs of WAITS_MS)
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof ScripError) || error.reason !== 'OVERLOADED') throw error;
      await sleep(waitMs * (1 + Math.random()));
    }
  return await read();
}

export const deadline = (ms = DEADLINE_MS) => ({ deadline: Date.now() + ms });

/** An error of a call, as the command reports it. */
export class CallError extends Error {
  readonly exitCode: number;
  /** Whether the call may have had an effect. */
  readonly mayBeDone: boolean;

  constructor(message: string, exitCode: number, done = false) {
    super(message);
    this.exitCode = exitCode;
    this.mayBeDone = done;
  }
}

export const notFound = (message: string): CallError => new CallError(message, NOT_FOUND);

/** What happened, and what to do. */
export const toCallError = (error: ScripError, address: string): CallError =>
  new CallError(...said(error, address), mayBeDone(error));

function said(error: ScripError, address: string): readonly [message: string, exitCode: number] {
  const { code, reason, message } = error;
  if (isUnanswered(error))
    return [
      `no service answers on ${address} (${causeOf(message)}); start one with npm start, name another with --address or ` +
        'SCRIP_ADDRESS, and --ca for one with TLS',
      NO_ANSWER,
    ];
  if (reason === '')
    return [
      `what answers on ${address} does not serve the call: ${message} (${status[code]}); is it this version of the service?`,
      REFUSED,
    ];
  switch (code) {
    case status.NOT_FOUND:
      return [message, NOT_FOUND];
    case status.INVALID_ARGUMENT:
      return [message, FAILED];
    case status.UNAUTHENTICATED:
      return [`${message}; show a certificate (--cert, --key) or a token (--token-file)`, REFUSED];
    case status.PERMISSION_DENIED:
      return [`${message}; policy explain says which rule of the policy applies`, REFUSED];
    default:
      return [`${message} (${reason})`, OUT_OF_CREDITS.has(reason) ? NOT_ENOUGH_CREDITS : REFUSED];
  }
}

/** The error of the connection, where grpc-js names it among other things. */
const causeOf = (message: string): string =>
  /Last error: (?:Error: )?(.+?)\.? Resolution note/.exec(message)?.[1] ?? message;

const OUT_OF_CREDITS: ReadonlySet<string> = new Set([
  'INSUFFICIENT_CREDITS',
  'OVERAGE_LIMIT_REACHED',
  'PAUSED_BELOW_FLOOR',
]);

/** Such as "2 x pack-100 for 20.00 USD" and, of a custom amount, "120 credits of by-credit for 2.40 USD". */
export function packText({ pack, quantity, price, credits }: PackOffer): string {
  const ofPacks = quantity > 1n ? `${quantity} x ` : '';
  const count = credits === undefined ? ofPacks : `${credits} credits of `;
  return `${count}${pack?.packId} for ${price?.amount} ${price?.currency}`;
}
