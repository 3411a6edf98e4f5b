/** Kills the service at a moment that is chosen, beside a Stripe that can be told when that is. */
import { expect } from 'vitest';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import type { StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import type { Replica } from './replica.ts';

/** Who is killed, and over what. */
export type Scene = {
  readonly stripe: StripeFake;
  readonly databaseUrl: string;
  readonly replica: Replica;
  readonly accountId: string;
};

/** `scene` says how things are when it is asked: the replica is another one after every kill. */
export function killing(scene: () => Scene) {
  const kill = () => scene().replica.process.kill('SIGKILL');

  /** When the service wants to write to the account. */
  async function killAtWrite() {
    const { databaseUrl, accountId } = scene();
    const letGo = await lockAccount(databaseUrl, accountId);
    void waitForBlockedSessions(databaseUrl).then(async () => {
      kill();
      await letGo();
    });
  }

  /** At the next such call of Stripe: before it has an effect, or before it is answered. */
  function killAtCall(call: RegExp, at: 'before' | 'after') {
    scene().stripe.meddle = (made, moment) => {
      if (moment !== at || !call.test(made)) return undefined;
      kill();
      return 'hang up';
    };
  }

  /** When the service wants to write what such a call of Stripe told it. */
  function killAtWriteAfter(call: RegExp) {
    scene().stripe.meddle = async (made, moment) => {
      if (moment === 'after' && call.test(made)) await killAtWrite();
      return undefined;
    };
  }

  /** Once the account has a purchase of which the condition is true. */
  async function killOnce(condition: string) {
    const { databaseUrl, accountId } = scene();
    const sql = `select 1 from purchases where account_id = $1 and ${condition}`;
    while ((await execute(databaseUrl, sql, [accountId])).length === 0);
    kill();
  }

  /** Settles when the service is dead; Stripe is as it was before. */
  async function killed() {
    const { replica, stripe } = scene();
    expect((await replica.ended).signal).toBe('SIGKILL');
    replica.close();
    stripe.meddle = () => undefined;
  }

  return { killAtWrite, killAtCall, killAtWriteAfter, killOnce, killed };
}
