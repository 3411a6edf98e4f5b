/** Finds out before a start whether its ports are free: a start takes long, and would fail at its end. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from './config.ts';

type Ports = Pick<
  Config,
  | 'HOST'
  | 'PORT'
  | 'ADMIN_HOST'
  | 'ADMIN_PORT'
  | 'STRIPE_WEBHOOK_SECRET'
  | 'STRIPE_WEBHOOK_HOST'
  | 'STRIPE_WEBHOOK_PORT'
  | 'SANDBOX_PAYMENTS_PORT'
>;

/** A line for each port that another process listens on. Other problems show when the service listens itself. */
export async function takenPorts(config: Ports, isSandbox: boolean): Promise<readonly string[]> {
  const { ADMIN_PORT: admin, STRIPE_WEBHOOK_SECRET: webhooks } = config;
  const all = [
    ['PORT', config.HOST, config.PORT],
    ...(admin === null ? [] : [['ADMIN_PORT', config.ADMIN_HOST, admin] as const]),
    ...(webhooks
      ? [['STRIPE_WEBHOOK_PORT', config.STRIPE_WEBHOOK_HOST, config.STRIPE_WEBHOOK_PORT] as const]
      : []),
    ...(isSandbox
      ? [['SANDBOX_PAYMENTS_PORT', '127.0.0.1', config.SANDBOX_PAYMENTS_PORT] as const]
      : []),
  ] as const;
  const lines: string[] = [];
  for (const [variable, host, port] of all)
    if (port !== 0 && (await isTaken(host, port))) lines.push(takenText(variable, host, port));
  return lines;
}

const takenText = (variable: string, host: string, port: number): string =>
  `port ${port} of ${host} is taken, by another service perhaps; choose another with ${variable}=${port < 65_535 ? port + 1 : port - 1}, ` +
  `or a free one with ${variable}=0`;

async function isTaken(host: string, port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
  }
}
