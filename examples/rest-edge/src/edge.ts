/** The HTTP server: who calls, the calls of each tenant, and how errors are answered. */
import { randomUUID } from 'node:crypto';
import { type CallOptions, type Scrip, ScripError } from '@scrip/client';
import { type FastifyInstance, type FastifyRequest, fastify } from 'fastify';
import { type HttpError, internal, toHttpError } from './errors.ts';
import { accountOf } from './keys.ts';
import { perfectParser } from './perfectparser.ts';
import { type CheckoutPages, verts } from './verts.ts';

declare global {
  interface JSON {
    // Node has it, and TypeScript does not know it yet.
    rawJSON(text: string): unknown;
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The account of the key that the request has. */
    account: string;
  }
}

export type EdgeOptions = {
  readonly scrip: Scrip;
  /** Asked for each request, so that keys can be replaced while the server runs. */
  readonly keys: () => ReadonlyMap<string, string>;
  readonly pages: CheckoutPages;
  /** Within which a call of Scrip must end, repeats included. */
  readonly timeoutMs: number;
  readonly log: boolean;
};

/** Only small requests are for this server, and only from clients that send them at once. */
const LIMITS = { bodyLimit: 16_384, requestTimeout: 10_000, connectionTimeout: 60_000 };

export function createEdge({ scrip, keys, pages, timeoutMs, log }: EdgeOptions): FastifyInstance {
  const redact = ['req.headers.authorization'];
  const edge = fastify({ ...LIMITS, logger: log && { redact }, genReqId: () => randomUUID() });
  edge.decorateRequest('account', '');
  edge.setReplySerializer((body) => JSON.stringify(body, exact));

  edge.get('/healthz', () => ({ status: 'ok' }));
  edge.register(async (v1) => {
    v1.addHook('onRequest', async (request, reply) => {
      const account = accountOf(request.headers.authorization, keys());
      if (account !== undefined) {
        request.account = account;
        return;
      }
      const error = { code: 'unknown_key', message: 'the request has no bearer key that is known' };
      return reply.code(401).header('www-authenticate', 'Bearer').send({ error });
    });
    const options = (request: FastifyRequest) => callOptions(request, timeoutMs);
    v1.register(perfectParser({ scrip, options }));
    v1.register(verts({ scrip, options, pages }));
  });

  edge.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const answer = answerOf(error);
    if (answer.status >= 500) request.log.error(error);
    if (answer.retryAfter !== undefined) reply.header('retry-after', answer.retryAfter);
    return reply.code(answer.status).send(answer.body);
  });
  edge.setNotFoundHandler((_, reply) =>
    reply.code(404).send({ error: { code: 'not_found', message: 'there is no such call' } }),
  );
  return edge;
}

/** A bigint as a number of JSON, which has as many digits as it needs. */
const exact = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? JSON.rawJSON(String(value)) : value;

function answerOf(error: Error & { readonly statusCode?: number }): HttpError {
  if (error instanceof ScripError) return toHttpError(error);
  // A request that fastify refuses: its body is too large, no JSON, or lacks a field.
  const { statusCode: status = 500, message } = error;
  return status < 500 ? { status, body: { error: { code: 'invalid', message } } } : internal();
}

/** What a call of Scrip takes over from the request: its trace, and the time that it has. */
function callOptions({ headers }: FastifyRequest, timeoutMs: number): CallOptions {
  const traceparent = headers['traceparent'];
  return { timeoutMs, ...(typeof traceparent === 'string' && { traceparent }) };
}
