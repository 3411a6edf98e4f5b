/**
 * A network between a client and a service that loses answers: the first that the service sends after it has
 * written a certain charge. It cannot read them, because they are encrypted.
 */
import type { Socket } from 'node:net';
import { TcpProxy } from '../tcp-proxy.ts';

export type Loss = {
  /** Of the charge. */
  readonly reference: string;
  /** The connection is reset; or it is silent until the client sends something, as when it gives the call up. */
  readonly how: 'reset' | 'silence';
};

export class CuttingProxy extends TcpProxy {
  readonly #isWritten: (reference: string) => Promise<boolean>;
  readonly #losses: Set<Loss>;

  constructor(
    port: number,
    losses: readonly Loss[],
    isWritten: (reference: string) => Promise<boolean>,
  ) {
    super(`http://127.0.0.1:${port}`);
    this.#losses = new Set(losses);
    this.#isWritten = isWritten;
  }

  /** The answers that were not lost yet. */
  get left(): readonly string[] {
    return [...this.#losses].map(({ reference }) => reference);
  }

  protected override pass(client: Socket, service: Socket) {
    let isSilent = false;
    client.on('data', (chunk) => {
      if (isSilent) client.resetAndDestroy();
      else service.write(chunk);
    });
    let passed = Promise.resolve();
    service.on('data', (chunk) => {
      passed = passed.then(async () => {
        if (isSilent || client.destroyed) return;
        const loss = await this.#nextLoss();
        if (!loss) client.write(chunk);
        else if (loss.how === 'silence') isSilent = true;
        else client.resetAndDestroy();
      });
    });
  }

  async #nextLoss(): Promise<Loss | undefined> {
    for (const loss of this.#losses)
      if ((await this.#isWritten(loss.reference)) && this.#losses.delete(loss)) return loss;
    return undefined;
  }
}
