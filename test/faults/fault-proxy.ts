/**
 * The network between replicas and their database. It understands just enough of PostgreSQL's protocol to see a
 * COMMIT. It cuts connections there, and delays answers.
 * Protocol: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
import type { Socket } from 'node:net';
import { TcpProxy } from '../tcp-proxy.ts';

/** Where a connection is cut: before PostgreSQL gets the COMMIT, in the middle of it, or before its answer. */
export type Cut = 'before' | 'within' | 'after';

export class FaultProxy extends TcpProxy {
  #delayMs = 0;
  /** Called at every COMMIT; null: the connection goes on. */
  onCommit: () => Cut | null = () => null;

  /** Everything that PostgreSQL answers arrives this much later. */
  delayBy(ms: number) {
    this.#delayMs = ms;
  }

  protected override pass(client: Socket, server: Socket) {
    const commits = new CommitDetector();
    client.on('data', (chunk) => {
      if (server.destroyed) return;
      const cut = commits.push(chunk) ? this.onCommit() : null;
      if (cut === null) server.write(chunk);
      else cutAt(cut, chunk, client, server);
    });
    this.#passDelayed(server, client);
  }

  protected override endOther(socket: Socket) {
    // What was received is passed on first.
    socket.end();
  }

  /** In order, also where the delay becomes shorter. */
  #passDelayed(server: Socket, client: Socket) {
    const waiting: Buffer[] = [];
    const passFirst = () => {
      const chunk = waiting.shift();
      if (chunk && !client.destroyed) client.write(chunk);
    };
    server.on('data', (chunk) => {
      waiting.push(chunk);
      if (this.#delayMs === 0) while (waiting.length > 0) passFirst();
      else setTimeout(passFirst, this.#delayMs);
    });
  }
}

function cutAt(cut: Cut, chunk: Buffer, client: Socket, server: Socket) {
  if (cut === 'within') server.write(chunk.subarray(0, Math.floor(chunk.length / 2)));
  if (cut === 'after') server.write(chunk);
  // PostgreSQL still receives what was written, runs it, and answers nobody.
  client.destroy();
}

/** Reads the messages of a client, and finds those that run a COMMIT. */
class CommitDetector {
  #rest: Buffer = Buffer.alloc(0);
  /** The first message of a connection has no type. */
  #isStarted = false;
  /** Names of prepared statements that commit. */
  readonly #prepared = new Set<string>();

  /** Whether a COMMIT ends in this chunk. */
  push(chunk: Buffer): boolean {
    let bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let isCommit = false;
    for (;;) {
      const at = this.#isStarted ? 1 : 0;
      if (bytes.length < at + 4) break;
      const end = at + bytes.readUInt32BE(at);
      if (bytes.length < end) break;
      if (this.#isStarted && this.#commits(bytes.subarray(0, end))) isCommit = true;
      this.#isStarted = true;
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    return isCommit;
  }

  #commits(message: Buffer): boolean {
    const type = String.fromCharCode(message[0] ?? 0);
    if (!'QPB'.includes(type)) return false;
    const [first = '', second = ''] = message.toString('latin1', 5).split('\0', 2);
    if (type === 'Q') return isCommit(first);
    if (type === 'B') return this.#prepared.has(second);
    if (isCommit(second)) this.#prepared.add(first);
    return false;
  }
}

const isCommit = (sql: string): boolean => /^\s*commit\b/i.test(sql);
