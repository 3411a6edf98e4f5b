/** A console with files of its own, on an admin port, without a service behind it. */
import { join } from 'node:path';
import { pino } from 'pino';
import { startAdminServer } from '../../src/admin/admin-server.ts';
import { Authenticator } from '../../src/authentication/authenticator.ts';
import { Tokens } from '../../src/authentication/tokens.ts';
import { onlyMap } from '../../src/cells/agreement.ts';
import { CellRouter } from '../../src/cells/cell-router.ts';
import type { LiveFigures } from '../../src/console/live-figures.ts';
import { isConsolePath, WebConsole } from '../../src/console/web-console.ts';
import { AuditLog } from '../../src/rpc/call/audit-log.ts';

/** `live`: what the page live asks for. */
export async function servePages(
  pageDirectory: string,
  live: (() => Promise<LiveFigures>) | null = null,
) {
  const log = pino({ level: 'silent' });
  const tokens = new Tokens({ log, now: Date.now });
  const webConsole = await WebConsole.open({
    socket: join(pageDirectory, 'no-socket'),
    pageDirectory,
    authenticator: new Authenticator({ tokens, takesCertificates: false, takesHeader: true }),
    policy: null,
    audit: new AuditLog(log, Date.now),
    isLocal: true,
    origins: [],
    live,
    cells: new CellRouter(['default'], onlyMap([{ name: 'default' }])),
    clock: { isReliable: true, now: Date.now },
    host: Date.now,
    traceUrlTemplate: undefined,
    sandbox: false,
    log,
  });
  const server = await startAdminServer({
    host: '127.0.0.1',
    port: 0,
    metrics: null,
    isReady: () => true,
    console: { isOwn: isConsolePath, handle: webConsole.handle.bind(webConsole) },
    log,
  });
  return {
    port: server.port,
    async stop() {
      webConsole.close();
      await server.stop();
    },
  };
}
