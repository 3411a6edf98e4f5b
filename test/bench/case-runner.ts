/** Runs single cases on the testbed: which server each needs, and with what load. */
import type { Case, CaseInputs } from './cases.ts';
import type { Load } from './load-spec.ts';
import { type Measured, measure } from './measure.ts';
import type { Extent } from './options.ts';
import type { BenchServer } from './servers.ts';
import type { Testbed } from './testbed.ts';

/** Connection pool sizes of the baselines. */
export type Pools = { readonly handTuned: number; readonly textbook: number };

type Timing = Pick<Load, 'warmUpMs' | 'durationMs'>;

export class CaseRunner {
  readonly #testbed: Testbed;
  readonly #extent: Extent;
  readonly #pools: Pools;
  readonly #perSecondOf: CaseInputs['perSecondOf'];

  constructor(
    testbed: Testbed,
    extent: Extent,
    pools: Pools,
    perSecondOf: CaseInputs['perSecondOf'],
  ) {
    this.#testbed = testbed;
    this.#extent = extent;
    this.#pools = pools;
    this.#perSecondOf = perSecondOf;
  }

  async measure(one: Case, timing: Timing): Promise<Measured> {
    const load = await this.#loadOf(one, timing);
    return await measure(this.#testbed.processes(...(await this.#serversOf(one))), load);
  }

  /** Runs a case of a server without measuring it. Cases that need figures of others are left out. */
  async warmUp(one: Case, durationMs: number) {
    const servers = await this.#serversOf(one);
    if (servers.length === 0 || one.needs.length > 0) return;
    await this.#testbed.client.run(await this.#loadOf(one, { warmUpMs: 0, durationMs }));
  }

  /** Runs a case and writes the CPU profile of its server; false if it has no server. */
  async profile(one: Case, file: string): Promise<boolean> {
    const [server] = await this.#serversOf(one);
    if (!server) return false;
    const load = await this.#loadOf(one, this.#extent);
    await server.profile(file, () => this.#testbed.client.run(load));
    return true;
  }

  async #loadOf(one: Case, { warmUpMs, durationMs }: Timing): Promise<Load> {
    const timing = { warmUpMs, durationMs: durationMs * one.durationFactor };
    const inputs: CaseInputs = {
      perSecondOf: this.#perSecondOf,
      historyEntries: this.#extent.historyEntries,
      handTunedPool: this.#pools.handTuned,
      seconds: (timing.warmUpMs + timing.durationMs) / 1000,
    };
    return { ...one.load(inputs), ...timing, addresses: [await this.#addressOf(one)] };
  }

  async #addressOf(one: Case): Promise<string> {
    if (one.subject === 'hand-tuned') return await this.#testbed.databaseOf('hand_tuned');
    if (one.subject === 'copy') return await this.#testbed.databaseOf('service');
    const [server] = await this.#serversOf(one);
    return server?.address ?? '';
  }

  /** The server that is measured; none if the load generator talks to PostgreSQL itself. */
  async #serversOf({ subject }: Case): Promise<BenchServer[]> {
    switch (subject) {
      case 'service':
        return [await this.#testbed.service()];
      case 'echo':
        return [await this.#testbed.echo()];
      case 'textbook':
        return [await this.#testbed.textbook(this.#pools.textbook)];
      default:
        return [];
    }
  }
}
