/**
 * HTTP for those who run the service: metrics for Prometheus, and the probes of an orchestrator. These have no
 * authentication and show no account, caller or request. The web console has both: see src/console.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { Connections } from './connections.ts';

/** Answers those requests whose paths are its own. */
export type PageServer = {
  isOwn(path: string): boolean;
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
};

export type AdminOptions = {
  readonly host: string;
  /** 0 chooses a free one. */
  readonly port: number;
  /** The metrics, in Prometheus' text format; null: nothing is measured. */
  readonly metrics: (() => Promise<string>) | null;
  /** Whether the service is ready: as the health service reports it. */
  readonly isReady: () => boolean;
  /** The web console; null: there is none. */
  readonly console: PageServer | null;
  readonly log: Logger;
};

export type AdminServer = {
  readonly port: number;
  /** Closes all connections. */
  stop(): Promise<void>;
};

type Reply = { readonly status: number; readonly text: string; readonly type?: string };

/** Prometheus' text format. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
/** Time limit for receiving a request, and for an answer that nobody reads. */
const TIMEOUT_MS = 10_000;
const HEADERS_BYTES_MAX = 8_192;

/** To be started last: a probe that is answered comes from a service that has started. */
export async function startAdminServer(options: AdminOptions): Promise<AdminServer> {
  const { host, port, log } = options;
  const metrics = options.metrics && shared(options.metrics);
  const connections = new Connections();
  const server = createServer(
    {
      requestTimeout: TIMEOUT_MS,
      headersTimeout: TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: HEADERS_BYTES_MAX,
    },
    async (request, response) => {
      const path = pathOf(request);
      if (options.console?.isOwn(path)) {
        response.once('close', () => connections.used(request.socket));
        await options.console.handle(request, response);
        return;
      }
      connections.busy(request.socket, response);
      try {
        send(request, response, await answer(request, { ...options, metrics }));
      } catch (error) {
        log.error({ err: error }, 'bug');
        send(request, response, { status: 500, text: 'internal error\n' });
      }
    },
  );
  server.on('connection', (socket) => connections.admit(socket));
  server.setTimeout(TIMEOUT_MS);
  server.listen(port, host);
  await once(server, 'listening').catch((error: Error) => {
    throw new Error(`cannot listen on ${host}:${port} for ADMIN_PORT: ${error.message}`);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  { metrics, isReady }: Pick<AdminOptions, 'metrics' | 'isReady'>,
): Promise<Reply> {
  const { method } = request;
  const path = pathOf(request);
  if (!(path === '/metrics' && metrics) && path !== '/livez' && path !== '/readyz')
    return { status: 404, text: 'not found\n' };
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'GET only\n' };
  if (path === '/metrics' && metrics)
    return { status: 200, text: await metrics(), type: METRICS_TYPE };
  if (path === '/livez' || isReady()) return { status: 200, text: 'ok\n' };
  return { status: 503, text: 'not ready\n' };
}

const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?')[0] ?? '';

function send(request: IncomingMessage, response: ServerResponse, reply: Reply) {
  const { status, text, type = 'text/plain; charset=utf-8' } = reply;
  // Nothing here has a body: one that is sent all the same is not read.
  const hasBody =
    request.headers['transfer-encoding'] !== undefined ||
    Number(request.headers['content-length'] ?? 0) > 0;
  if (hasBody) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(request.method === 'HEAD' ? undefined : text);
  if (hasBody) response.once('finish', () => request.socket.destroySoon());
}

/** Calls that come while one is answered get the same answer: many at once cost as much as one. */
function shared<Result>(call: () => Promise<Result>): () => Promise<Result> {
  let running: Promise<Result> | null = null;
  return () => {
    running ??= call().finally(() => {
      running = null;
    });
    return running;
  };
}
