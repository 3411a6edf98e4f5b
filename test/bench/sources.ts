/** The operations that are gRPC calls, to the service or to a baseline with the same protos. */
import { BatchResponse } from '../../src/gen/billing/v1/billing_service.ts';
import { Calls, paths } from './calls.ts';
import type { Done, Source } from './load.ts';
import { type Accounts, accountId, type LoadTls, type Operation } from './load-spec.ts';
import { mixed } from './mixed.ts';
import {
  balanceRequest,
  chargeRequest,
  commitMutation,
  commitRequest,
  eachOfField1,
  estimateRequest,
  extendRequest,
  historyRequest,
  labelledRequest,
  releaseRequest,
  reservationIdOf,
  reserveMutation,
  reserveRequest,
  type Template,
  UPSCALE,
} from './requests.ts';

/** A reservation that was made for a later call. */
type Reserved = { readonly accountId: string; readonly reservationId: string };

type CallOperation = Exclude<Operation, { kind: 'function' | 'copy' | 'client' | 'meter' }>;

export async function callSource(
  addresses: readonly string[],
  operation: CallOperation,
  tls?: LoadTls,
): Promise<Source> {
  const calls = new Calls(addresses, tls);
  await calls.ready();
  const start = await startOf(calls, operation);
  return { start, close: () => calls.close() };
}

async function startOf(calls: Calls, operation: CallOperation): Promise<Source['start']> {
  switch (operation.kind) {
    case 'reserve':
      return simple(calls, paths.reserve, reserveRequest(UPSCALE), operation.accounts);
    case 'labelled':
      return simple(calls, paths.reserve, labelledRequest(), operation.accounts);
    case 'charge':
      return simple(calls, paths.charge, chargeRequest(UPSCALE), operation.accounts);
    case 'balance':
      return simple(calls, paths.getBalance, balanceRequest(), operation.accounts);
    case 'estimate':
      return simple(calls, paths.estimate, estimateRequest(UPSCALE), operation.accounts);
    case 'commit':
    case 'release':
    case 'extend': {
      const { path, request } = onReservation[operation.kind];
      const reserved = await reserveMany(calls, operation.accounts, operation.prepare);
      return onceOnEach(calls, path, request(), reserved);
    }
    case 'pair':
      return pairs(calls, operation.accounts);
    case 'batch':
      return operation.pairs
        ? batchPairs(calls, operation.accounts, operation.size)
        : batches(calls, operation.accounts, operation.size);
    case 'history':
      return histories(calls, operation.accountId, operation.entries);
    case 'mixed':
      return mixed(calls);
  }
}

const randomAccount = (accounts: Accounts): string =>
  accountId(accounts, Math.floor(Math.random() * accounts.count));

const simple =
  (calls: Calls, path: string, request: Template, accounts: Accounts): Source['start'] =>
  (done) => {
    calls.unary(path, request.make(randomAccount(accounts)), (error) => done(1, error));
    return true;
  };

/** Calls on a reservation. */
const onReservation = {
  commit: { path: paths.commit, request: commitRequest },
  release: { path: paths.release, request: releaseRequest },
  extend: { path: paths.extend, request: extendRequest },
} as const;

/** Calls once on each reservation, until none is left. */
function onceOnEach(
  calls: Calls,
  path: string,
  request: Template,
  reserved: Reserved[],
): Source['start'] {
  return (done) => {
    const one = reserved.pop();
    if (!one) return false;
    calls.unary(path, request.make(one.accountId, one.reservationId), (error) => done(1, error));
    return true;
  };
}

function pairs(calls: Calls, accounts: Accounts): Source['start'] {
  const reserve = reserveRequest(UPSCALE);
  const commit = commitRequest();
  return (done) => {
    const account = randomAccount(accounts);
    calls.unary(paths.reserve, reserve.make(account), (error, response) => {
      if (error) return done(0, error);
      calls.unary(paths.commit, commit.make(account, reservationIdOf(response)), (failed) =>
        done(1, failed),
      );
    });
    return true;
  };
}

function batches(calls: Calls, accounts: Accounts, size: number): Source['start'] {
  const mutation = reserveMutation(UPSCALE);
  return (done) => {
    calls.unary(paths.batch, mutation.makeAll(targets(accounts, size)), (error, response) =>
      done(size, error ?? firstError(response)),
    );
    return true;
  };
}

function batchPairs(calls: Calls, accounts: Accounts, size: number): Source['start'] {
  const reserve = reserveMutation(UPSCALE);
  const commit = commitMutation();
  return (done) => {
    reserveBatch(calls, reserve, targets(accounts, size), (error, reserved) => {
      if (error) return done(0, error);
      calls.unary(paths.batch, commit.makeAll(reserved), (failed, response) =>
        done(2 * size, failed ?? firstError(response)),
      );
    });
    return true;
  };
}

const targets = (accounts: Accounts, size: number) =>
  Array.from({ length: size }, () => ({ accountId: randomAccount(accounts) }));

function reserveBatch(
  calls: Calls,
  mutation: Template,
  batch: readonly { accountId: string }[],
  onReserved: (error: Error | null, reserved: Reserved[]) => void,
) {
  calls.unary(paths.batch, mutation.makeAll(batch), (error, response) => {
    if (error) return onReserved(error, []);
    const reserved: Reserved[] = [];
    for (const { result } of BatchResponse.decode(response).results) {
      if (result?.$case !== 'reserve' || !result.value.reservation)
        return onReserved(new Error(`a mutation failed: ${JSON.stringify(result?.value)}`), []);
      reserved.push(result.value.reservation);
    }
    onReserved(null, reserved);
  });
}

async function reserveMany(calls: Calls, accounts: Accounts, count: number): Promise<Reserved[]> {
  const mutation = reserveMutation(UPSCALE);
  const all: Reserved[] = [];
  while (all.length < count)
    await new Promise<void>((resolve, reject) => {
      reserveBatch(calls, mutation, targets(accounts, 1_000), (error, reserved) => {
        all.push(...reserved);
        if (error) reject(error);
        else resolve();
      });
    });
  // Shuffled, so that reservations of one batch are not committed together.
  for (let index = all.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [all[index], all[other]] = [all[other] as Reserved, all[index] as Reserved];
  }
  return all;
}

/** The first byte of a MutationResult is the tag of its case: field 1 is an error. */
function firstError(response: Uint8Array): Error | null {
  let error: Error | null = null;
  eachOfField1(response, (result) => {
    if (result[0] === 0x0a) error ??= new Error('a mutation of a batch failed');
  });
  return error;
}

function histories(calls: Calls, account: string, entries: number): Source['start'] {
  const request = historyRequest();
  return (done: Done) => {
    let received = 0;
    calls.stream(
      paths.streamHistory,
      request.make(account),
      (message) =>
        eachOfField1(message, () => {
          received += 1;
        }),
      (error) =>
        done(
          received,
          error ?? (received === entries ? null : new Error(`${received} of ${entries} entries`)),
        ),
    );
    return true;
  };
}
