/** Every decoder that reads bytes from outside, with inputs that nobody would think of. */
import { type DescMessage, equals, fromBinary, type Message } from '@bufbuild/protobuf';
import type { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Metadata, status } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ScripError } from '../../src/client.ts';
import { Failure } from '../../src/failure.ts';
import * as accountService from '../../src/gen/billing/v1/account_service.ts';
import * as billingService from '../../src/gen/billing/v1/billing_service.ts';
import * as budget from '../../src/gen/billing/v1/budget.ts';
import * as eventService from '../../src/gen/billing/v1/event_service.ts';
import * as operatorService from '../../src/gen/billing/v1/operator_service.ts';
import * as planService from '../../src/gen/billing/v1/plan_service.ts';
import * as statementService from '../../src/gen/billing/v1/statement_service.ts';
import { FieldChecker } from '../../src/rpc/call/field-checker.ts';
import { fingerprint } from '../../src/rpc/call/fingerprint.ts';
import { decodePageToken } from '../../src/rpc/call/pages.ts';
import { requestDecoder } from '../../src/rpc/call/request-decoder.ts';
import { decodeStreamToken, encodeStreamToken } from '../../src/rpc/event-service/stream-token.ts';
import { SEEDS } from '../fuzz-seeds.ts';
import { requestId, startTestService, type TestService } from '../service.ts';
import { damaged, messageBytes, methods, registry, token } from './message-arbitrary.ts';

type Codec = {
  encode(message: unknown, writer?: BinaryWriter): BinaryWriter;
  decode(bytes: Uint8Array): unknown;
};
const codecs: Readonly<Record<string, unknown>> = {
  ...accountService,
  ...budget,
  ...billingService,
  ...eventService,
  ...operatorService,
  ...planService,
  ...statementService,
};
const codecOf = ({ name }: DescMessage) => codecs[name] as Codec;

/** Instants are stored in milliseconds; requests that only compare them may be finer. */
const isRounded = ({ name }: DescMessage) =>
  [
    'StreamHistoryRequest',
    'ListEntriesRequest',
    'GetPastBalanceRequest',
    'GetUsageRequest',
    'ListShadowDecisionsRequest',
    'BatchRequest',
  ].includes(name);

/** not_after is compared and not stored: it may be finer, and is no part of the fingerprint. */
const withoutNotAfter = <Sent extends Message>(sent: Sent): Sent =>
  Object.assign(sent, { notAfter: undefined });

describe.each(SEEDS)('with the seed %s', (seed) => {
  describe.each(methods.map(({ input }) => input))('a $name', (message) => {
    const codec = codecOf(message);
    const decode = requestDecoder(message, (bytes) => codec.decode(bytes));
    const valid = messageBytes(message);
    const bytes = fc.oneof(valid, damaged(valid), fc.uint8Array({ maxLength: 40 }));

    test('is refused, or its message says all that its bytes say', () => {
      fc.assert(
        fc.property(bytes, (some) => {
          const decoded = decode(Buffer.from(some));
          if (decoded instanceof Failure) {
            expect(decoded.reason).toBe('MESSAGE_UNDECODABLE');
            return;
          }
          // A decoder of another make, which keeps what it does not know.
          const sent = withoutNotAfter(fromBinary(message, some));
          if (isRounded(message)) return;
          const again = codec.encode(decoded).finish();
          const options = { unknown: true, registry };
          expect(equals(message, withoutNotAfter(fromBinary(message, again)), sent, options)).toBe(
            true,
          );
        }),
        { seed, numRuns: 300 },
      );
    });
  });
});

const mutations = methods
  .map(({ input }) => input)
  .filter(({ fields }) => fields.some(({ name }) => name === 'request_id'));

describe.each(SEEDS)('with the seed %s', (seed) => {
  test.each(mutations)('two $name have one fingerprint only if they say the same', (message) => {
    const codec = codecOf(message);
    const decode = requestDecoder(message, (bytes) => codec.decode(bytes));
    const pair = messageBytes(message).chain((one) =>
      fc.tuple(fc.constant(one), damaged(fc.constant(one))),
    );
    fc.assert(
      fc.property(pair, (sent) => {
        const [one, other] = sent.map((bytes) => decode(Buffer.from(bytes)));
        if (one instanceof Failure || other instanceof Failure) return;
        const [a, b] = [one, other].map((request) => fingerprint(codec, request));
        const [c, d] = sent.map((bytes) => withoutNotAfter(fromBinary(message, bytes)));
        if (!c || !d) return;
        expect(Buffer.from(a ?? []).equals(Buffer.from(b ?? []))).toBe(equals(message, c, d));
      }),
      { seed, numRuns: 1_000 },
    );
  });
});

describe.each(SEEDS)('with the seed %s', (seed) => {
  test('a page token is read as it was made, or refused', () => {
    fc.assert(
      fc.property(token, (sent) => {
        const list = ['grants', 'fuzzed'];
        try {
          const key = decodePageToken(list, sent);
          if (key !== null)
            expect(JSON.parse(Buffer.from(sent, 'base64url').toString())).toEqual([...list, key]);
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
        }
      }),
      { seed, numRuns: 1_000 },
    );
  });

  test('a token of StreamEvents is read as it was made, or refused', () => {
    fc.assert(
      fc.property(token, (sent) => {
        const check = new FieldChecker();
        const places = decodeStreamToken('after_token', sent, check, ['one', 'two']);
        if (check.failure() || sent === '') return;
        const isOfOneCell = Buffer.from(sent, 'base64url')[0] === 1;
        const cells = isOfOneCell ? ['one'] : ['one', 'two'];
        expect(encodeStreamToken(places, cells)).toBe(sent);
      }),
      { seed, numRuns: 1_000 },
    );
  });
});

describe('the service', () => {
  let scrip: TestService;
  beforeAll(async () => {
    scrip = await startTestService();
    const account = { accountId: 'fuzzed', requestId: requestId(), planId: 'verts' };
    await scrip.accounts.openAccount(account);
  });
  afterAll(() => scrip.stop());

  const identity = (bytes: Buffer): Buffer => bytes;

  /** The error of the call; null if it has none. */
  async function answer(path: string, request: Uint8Array): Promise<ScripError | null> {
    const headers = new Metadata();
    headers.set('x-caller', 'fuzz');
    const call = scrip.channel.makeServerStreamRequest(
      path,
      identity,
      identity,
      Buffer.from(request),
      headers,
    );
    try {
      await call.toArray();
      return null;
    } catch (error) {
      return new ScripError(error as ConstructorParameters<typeof ScripError>[0]);
    }
  }

  describe.each(SEEDS)('with the seed %s', (seed) => {
    test.each(methods)(
      'answers any $input.name with what is wrong',
      async ({ input, parent, name }) => {
        const path = `/${parent.typeName}/${name}`;
        await fc.assert(
          fc.asyncProperty(messageBytes(input), async (bytes) => {
            const error = await answer(path, bytes);
            if (error === null) return;
            expect(error).toMatchObject({ reason: expect.stringMatching(/./) });
            expect([status.INTERNAL, status.UNKNOWN], error.message).not.toContain(error.code);
          }),
          { seed, numRuns: 40 },
        );
      },
    );
  });
});
