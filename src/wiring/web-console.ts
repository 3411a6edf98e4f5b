/** The web console on the admin port. It calls the gRPC server through a socket that only this process can open. */
import type { Authentication } from '../authentication/authentication.ts';
import type { CellRouter } from '../cells/cell-router.ts';
import { Live } from '../console/live.ts';
import { PAGE_DIRECTORY } from '../console/page-files.ts';
import { PrivateSocket } from '../console/private-socket.ts';
import { isConsolePath, WebConsole } from '../console/web-console.ts';
import { isLoopback } from '../loopback.ts';
import type { PolicySource } from '../policy/policy-source.ts';
import type { AuditLog } from '../rpc/call/audit-log.ts';
import type { ServiceContext } from '../rpc/service-context.ts';
import { clockOfAny } from './cells.ts';
import type { Shared } from './context.ts';

/** Null where the console is not wanted, or cannot be had: the service does without it. */
export async function createPrivateSocket({ config, log }: Shared): Promise<PrivateSocket | null> {
  if (config.ADMIN_PORT === null || !config.CONSOLE) return null;
  return await PrivateSocket.create().catch((error: unknown) => {
    log.error({ err: error }, 'there is no web console');
    return null;
  });
}

export async function openWebConsole(
  { config, host, monotonic, metrics, sandbox, log }: Shared,
  cells: CellRouter<ServiceContext>,
  { authenticator }: Authentication,
  policy: PolicySource | null,
  audit: AuditLog,
  { path: socket }: PrivateSocket,
): Promise<WebConsole> {
  const { prometheus } = metrics.exports;
  const live = prometheus && new Live({ read: () => prometheus.readMetrics(), monotonic });
  return await WebConsole.open({
    socket,
    pageDirectory: PAGE_DIRECTORY,
    authenticator,
    policy,
    audit,
    isLocal: isLoopback(config.ADMIN_HOST),
    origins: config.CONSOLE_ORIGINS ?? [],
    live: live && (() => live.figures()),
    cells,
    clock: clockOfAny(cells),
    host,
    traceUrlTemplate: config.TRACE_URL_TEMPLATE,
    sandbox: sandbox !== null,
    log,
  });
}

export const pageServer = (webConsole: WebConsole) => ({
  isOwn: isConsolePath,
  handle: webConsole.handle.bind(webConsole),
});
