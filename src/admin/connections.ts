/**
 * The connections of the admin port. Where there are too many, the one that was used longest ago makes room for the
 * new one: whoever opens many, and sends slowly or nothing, keeps neither metrics nor probes from being answered.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const CONNECTIONS_MAX = 50;

export class Connections {
  /** Used longest ago first. With how many metrics and probes are being answered on each. */
  readonly #open = new Map<Socket, number>();

  /** Call it for every new connection. */
  admit(socket: Socket) {
    if (this.#open.size >= CONNECTIONS_MAX && !this.#makeRoom()) {
      socket.destroy();
      return;
    }
    this.#open.set(socket, 0);
    socket.once('close', () => this.#open.delete(socket));
  }

  /** The connection stays until the response has been sent. */
  busy(socket: Socket, response: ServerResponse) {
    this.#change(socket, 1);
    response.once('close', () => this.#change(socket, -1));
  }

  used(socket: Socket) {
    this.#change(socket, 0);
  }

  #change(socket: Socket, by: number) {
    const answering = this.#open.get(socket);
    if (answering === undefined) return;
    this.#open.delete(socket);
    this.#open.set(socket, answering + by);
  }

  /** False: all of them are being answered. */
  #makeRoom(): boolean {
    for (const [socket, answering] of this.#open)
      if (answering === 0) {
        this.#open.delete(socket);
        socket.destroy();
        return true;
      }
    return false;
  }
}
