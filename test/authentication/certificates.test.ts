/** Mutual TLS: which certificates open a connection, and whom they name. */
import { once } from 'node:events';
import { connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ConnectOptions } from '../../src/client.ts';
import { DAY, HOUR } from '../accounts.ts';
import { healthOf } from '../health.ts';
import { errorOf } from '../rpc-error.ts';
import { startTestService, type TestService } from '../service.ts';
import {
  type Authority,
  type CertificateOptions,
  createAuthority,
  createTlsDirectory,
  signServer,
  type TlsDirectory,
} from './authority.ts';
import { callerOf, clientOf, tlsOf } from './client.ts';

let authority: Authority;
let files: TlsDirectory;
/** It requires a certificate. */
let strict: TestService;
/** It serves connections without one. */
let lenient: TestService;
/** It asks for none. */
let plain: TestService;

beforeAll(async () => {
  authority = await createAuthority();
  files = await createTlsDirectory(await signServer(authority), authority.certificate);
  const client: ConnectOptions = { caller: 'impostor', tls: tlsOf(authority.certificate) };
  const databaseUrl = (await startTestService()).databaseUrl;
  const start = (env: Readonly<Record<string, string>>) =>
    startTestService({ databaseUrl, client, env: { ...files.env, ...env } });
  strict = await start({});
  lenient = await start({ TLS_CLIENT_CERTIFICATE: 'optional', TLS_MIN_VERSION: 'TLSv1.2' });
  plain = await start({ TLS_CLIENT_CA_FILE: '' });
});
afterAll(async () => {
  await Promise.all([strict, lenient, plain].map((service) => service.stop()));
  await files.remove();
});

const SPIFFE_ID = 'spiffe://example.org/media/renderer';
const spiffe = { type: 'url', value: SPIFFE_ID } as const;

async function clientWith(
  options: CertificateOptions,
  { service = strict, by = authority }: { service?: TestService; by?: Authority } = {},
) {
  const tls = tlsOf(authority.certificate, await by.sign(options));
  return clientOf(service, { caller: 'impostor', tls });
}

/** The status of a call, without the details that only the service gives. */
const codeOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => status.OK,
    ({ code, reason }: { code: number; reason: string }) => (reason === '' ? code : reason),
  );

describe('a certificate names its caller', () => {
  test.each<[string, string, CertificateOptions]>([
    ['by its SPIFFE id', SPIFFE_ID, { names: [spiffe] }],
    [
      'by its SPIFFE id rather than its common name',
      SPIFFE_ID,
      { commonName: 'x', names: [spiffe] },
    ],
    [
      'by its SPIFFE id beside a DNS name',
      SPIFFE_ID,
      { names: [{ type: 'dns', value: 'renderer.example.org' }, spiffe] },
    ],
    ['else by its common name', 'cn:renderer', { commonName: 'renderer' }],
    [
      'by its common name beside a URI that is no SPIFFE id',
      'cn:renderer',
      { commonName: 'renderer', names: [{ type: 'url', value: 'https://example.org/renderer' }] },
    ],
  ])('%s', async (_, caller, options) => {
    for (const service of [strict, lenient])
      expect(await callerOf(await clientWith(options, { service }))).toBe(caller);
  });

  test.each<[string, CertificateOptions]>([
    ['nothing', { names: [{ type: 'dns', value: 'renderer.example.org' }] }],
    ['two SPIFFE ids', { names: [spiffe, { type: 'url', value: 'spiffe://example.org/other' }] }],
    ['a SPIFFE id and another URI', { names: [spiffe, { type: 'url', value: 'https://a.org' }] }],
    [
      'a URI that seems to be two',
      { names: [{ type: 'url', value: 'https://a.org, URI:spiffe://example.org/admin' }, spiffe] },
    ],
    [
      'a trust domain',
      { commonName: 'x', names: [{ type: 'url', value: 'spiffe://example.org' }] },
    ],
    [
      'a path that is not normal',
      { commonName: 'x', names: [{ type: 'url', value: 'spiffe://example.org/a/../b' }] },
    ],
    ['a common name with a space', { commonName: 'the renderer' }],
    ['a common name that is not ASCII', { commonName: 'rendérer' }],
  ])('but not with %s', async (_, options) => {
    const { plans } = await clientWith(options);
    expect(await errorOf(plans.listPlans({}))).toMatchObject({
      code: status.UNAUTHENTICATED,
      reason: 'CALLER_UNKNOWN',
      metadata: { problem: 'CERTIFICATE_WITHOUT_NAME' },
    });
  });
});

describe('a certificate that is not valid', () => {
  const cases: readonly [string, string, CertificateOptions][] = [
    ['has expired', 'CERT_HAS_EXPIRED', { validFrom: -2 * DAY, validTo: -HOUR }],
    ['is not valid yet', 'CERT_NOT_YET_VALID', { validFrom: HOUR }],
  ];

  test.each(cases)('because it %s opens no connection', async (_, __, validity) => {
    const { plans } = await clientWith({ names: [spiffe], ...validity });
    expect(await codeOf(plans.listPlans({}))).toBe(status.UNAVAILABLE);
  });

  test.each(cases)('because it %s is refused where it is optional', async (_, code, validity) => {
    const { plans } = await clientWith({ names: [spiffe], ...validity }, { service: lenient });
    expect(await errorOf(plans.listPlans({}))).toMatchObject({
      code: status.UNAUTHENTICATED,
      metadata: { problem: 'CERTIFICATE_NOT_TRUSTED', code },
    });
  });

  test('because another CA signed it opens no connection, and is refused where it is optional', async () => {
    const by = await createAuthority('Another CA');
    const { plans } = await clientWith({ names: [spiffe] }, { by });
    expect(await codeOf(plans.listPlans({}))).toBe(status.UNAVAILABLE);
    const client = await clientWith({ names: [spiffe] }, { by, service: lenient });
    expect((await errorOf(client.plans.listPlans({}))).metadata).toEqual({
      problem: 'CERTIFICATE_NOT_TRUSTED',
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    });
  });

  test('because another CA of the same name signed it opens no connection', async () => {
    const by = await createAuthority();
    for (const service of [strict, lenient]) {
      const { plans } = await clientWith({ names: [spiffe] }, { by, service });
      // Where it is optional, OpenSSL may also open the connection and say that the signature is wrong.
      expect([status.UNAVAILABLE, 'CALLER_UNKNOWN']).toContain(await codeOf(plans.listPlans({})));
    }
  });
});

describe('without a certificate', () => {
  const withoutOne = (service: TestService) =>
    clientOf(service, { caller: 'impostor', tls: tlsOf(authority.certificate) });

  test('no connection is opened where it is required', async () => {
    expect(await codeOf(withoutOne(strict).plans.listPlans({}))).toBe(status.UNAVAILABLE);
  });

  test('the caller is unknown where it is optional, or not asked for, whatever x-caller says', async () => {
    expect(await errorOf(withoutOne(lenient).plans.listPlans({}))).toMatchObject({
      code: status.UNAUTHENTICATED,
      reason: 'CALLER_UNKNOWN',
      message: 'the caller is not known: there is no certificate',
      metadata: { problem: 'NO_CREDENTIALS' },
      retryMs: null,
    });
    const error = await errorOf(withoutOne(plain).plans.listPlans({}));
    expect(error.message).toBe('the caller is not known: there is no bearer token');
  });

  test('streams, unknown methods and reflection are refused, too', async () => {
    const { billing, channel } = withoutOne(lenient);
    const stream = billing.streamHistory({ accountId: 'any' });
    expect((await errorOf(stream.next())).reason).toBe('CALLER_UNKNOWN');
    const paths = [
      '/billing.v1.BillingService/None',
      '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
      '/grpc.health.v1.HealthX/Check',
    ];
    const same = (bytes: Buffer) => bytes;
    for (const path of paths) {
      const called = new Promise<unknown>((resolve) => {
        channel.makeUnaryRequest(path, same, same, Buffer.alloc(0), (error) =>
          resolve(error?.code),
        );
      });
      expect(await called).toBe(status.UNAUTHENTICATED);
    }
  });

  test('health is told', async () => {
    expect(await healthOf({ ...lenient, ...withoutOne(lenient) }, 'liveness')).toBe('SERVING');
  });

  test('nothing is served in plain text', async () => {
    const { plans } = clientOf(strict, { caller: 'impostor' });
    expect(await codeOf(plans.listPlans({}))).toBe(status.UNAVAILABLE);
  });
});

test('the service says how its port is protected', () => {
  expect([strict, lenient, plain].map(({ service }) => service.transport)).toEqual([
    'mutual tls',
    'tls, client certificates optional',
    'tls',
  ]);
});

describe('TLS', () => {
  /** The version that is agreed on with a client that speaks only this one. */
  async function agreedVersion(service: TestService, version: SecureVersion): Promise<unknown> {
    const pair = await authority.sign({ commonName: 'renderer' });
    const socket = connectTls({
      host: '127.0.0.1',
      port: service.service.port,
      ca: authority.certificate,
      cert: pair.certificate,
      key: pair.key,
      minVersion: version,
      maxVersion: version,
      ALPNProtocols: ['h2'],
    });
    try {
      await once(socket, 'secureConnect');
      return socket.getProtocol();
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    } finally {
      socket.destroy();
    }
  }

  test('1.3 is spoken, and 1.2 is refused', async () => {
    expect(await agreedVersion(strict, 'TLSv1.3')).toBe('TLSv1.3');
    expect(await agreedVersion(strict, 'TLSv1.2')).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  });

  test('1.2 is spoken if it is configured, and 1.1 is refused', async () => {
    expect(await agreedVersion(lenient, 'TLSv1.2')).toBe('TLSv1.2');
    expect(await agreedVersion(lenient, 'TLSv1.1')).not.toBe('TLSv1.1');
  });

  test('sessions are not resumed, so every connection shows its certificate', async () => {
    const sessions: Buffer[] = [];
    const pair = await authority.sign({ commonName: 'renderer' });
    const open = (service: TestService, session?: Buffer): TLSSocket =>
      connectTls({
        host: '127.0.0.1',
        port: service.service.port,
        ca: authority.certificate,
        cert: pair.certificate,
        key: pair.key,
        ALPNProtocols: ['h2'],
        ...(session && { session }),
      }).on('session', (given) => sessions.push(given));
    const first = open(strict);
    // The settings of HTTP/2 arrive after a ticket would have.
    await once(first, 'data');
    first.destroy();
    const [session] = sessions;
    expect(session).toBeDefined();
    const second = open(strict, session);
    await once(second, 'secureConnect');
    expect(second.isSessionReused()).toBe(false);
    second.destroy();
  });
});
