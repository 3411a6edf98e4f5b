/**
 * The way from the console to the gRPC server of the same process: a Unix socket in a directory that only the
 * user of the service can enter. A call through it is authenticated, authorized, admitted, logged and traced as
 * any other.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Longer ones are cut by the system. */
const PATH_BYTES_MAX = 100;

export class PrivateSocket {
  readonly path: string;
  readonly #directory: string;

  /** Rejects if the directory for temporary files cannot be used. */
  static async create(): Promise<PrivateSocket> {
    // With mode 0700.
    const directory = await mkdtemp(join(tmpdir(), 'scrip-console-'));
    const socket = new PrivateSocket(directory);
    if (Buffer.byteLength(socket.path) <= PATH_BYTES_MAX) return socket;
    await socket.remove();
    throw new Error(`the path of ${tmpdir()} is too long for a socket: set TMPDIR`);
  }

  private constructor(directory: string) {
    this.#directory = directory;
    this.path = join(directory, 'grpc');
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
