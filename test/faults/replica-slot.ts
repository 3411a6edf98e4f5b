/** A place where a replica runs: one port, and a supervisor that starts the service again when it has ended. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, type Replica, startPublished } from '../process/replica.ts';
import { freePort } from './postgres-cluster.ts';

const RESTART_MS = 200;

export class ReplicaSlot {
  readonly port: number;
  readonly #env: Readonly<Record<string, string>>;
  readonly #imports: readonly string[];
  #replica: Replica | null = null;
  #isWanted = true;
  /** Starts and restarts, one after the other. */
  #running: Promise<void> = Promise.resolve();

  private constructor(
    port: number,
    env: Readonly<Record<string, string>>,
    imports: readonly string[],
  ) {
    this.port = port;
    this.#env = { ...env, PORT: String(port) };
    this.#imports = imports;
  }

  /** Resolves when the replica is ready. */
  static async start(
    env: Readonly<Record<string, string>>,
    imports: readonly string[] = [],
  ): Promise<ReplicaSlot> {
    const slot = new ReplicaSlot(await freePort(), env, imports);
    await slot.#start();
    return slot;
  }

  /** Sends a signal. A replica that it ends is started again. */
  signal(signal: NodeJS.Signals) {
    this.#replica?.process.kill(signal);
  }

  /** Ends the replica by SIGTERM, and starts the next one on the same port while it drains. */
  async replace(): Promise<void> {
    const draining = this.#replica;
    this.#replica = null;
    draining?.process.kill('SIGTERM');
    this.#running = this.#restart();
    await this.#running;
  }

  /** The largest resident memory of the present process so far, in MB; 0 if it does not run. */
  get peakMemory(): number {
    try {
      const status = readFileSync(`/proc/${this.#replica?.process.pid}/status`, 'utf8');
      return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024);
    } catch {
      return 0;
    }
  }

  /** What the present process has written to its log. */
  get log(): string {
    return this.#replica?.output.stdout ?? '';
  }

  async stop() {
    this.#isWanted = false;
    await this.#running;
    if (!this.#replica) return;
    this.#replica.process.kill('SIGCONT');
    this.#replica.close();
    await end(this.#replica);
  }

  async #start(): Promise<void> {
    const replica = await startPublished(this.#env, this.#imports);
    this.#replica = replica;
    void replica.ended.then(() => {
      replica.close();
      // One that is being replaced is not started again.
      if (this.#isWanted && this.#replica === replica) this.#running = this.#restart();
    });
  }

  async #restart(): Promise<void> {
    while (this.#isWanted) {
      await sleep(RESTART_MS);
      try {
        return await this.#start();
      } catch {
        // As a service manager does: once more. What it waits for may be the database.
      }
    }
  }
}
