/** A TCP proxy between a client and a server: a network that tests can break. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export class TcpProxy {
  readonly #server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  readonly #sockets = new Set<Socket>();
  #target: () => string;
  #port = 0;
  /** Connections so far. */
  connections = 0;
  /** True: new connections are reset at once. */
  isRefusing = false;

  /** `target` is a URL with the server's host and port, or gives it at the time of a connection. */
  constructor(target: string | (() => string)) {
    this.#target = typeof target === 'string' ? () => target : target;
  }

  /** Accepts connections, on the same port every time. */
  async open(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Cuts all connections and refuses new ones. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.cut();
    await closed;
  }

  /** The URL of the server, through this proxy. */
  get url(): string {
    return Object.assign(new URL(this.#target()), { host: this.address }).href;
  }

  /** Host and port. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  cut() {
    for (const socket of this.#sockets) socket.destroy();
  }

  reset() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Drops silently what the open connections send. New connections work. */
  stall() {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  /** Cuts all connections; new ones go to another server. */
  turnTo(target: string) {
    this.#target = () => target;
    this.cut();
  }

  #accept(client: Socket) {
    this.connections += 1;
    if (this.isRefusing) {
      client.resetAndDestroy();
      return;
    }
    const { hostname: host, port } = new URL(this.#target());
    // Without delay, as the ends send: a network does not wait for more bytes.
    const server = connect({ host, port: Number(port), noDelay: true });
    for (const [end, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(end);
      end.on('error', () => {});
      end.on('close', () => {
        this.#sockets.delete(end);
        this.endOther(other);
      });
    }
    this.pass(client, server);
  }

  /** Passes on what the ends of a new connection send. */
  protected pass(client: Socket, server: Socket) {
    client.pipe(server).pipe(client);
  }

  /** Ends the other half of a connection that was closed. */
  protected endOther(socket: Socket) {
    socket.destroy();
  }
}
