/** Kills the service at a chosen moment: at a call of Stripe, or at a write to the database. */
import { expect } from 'vitest';
import { lockAccount, waitForBlockedSessions } from '../disruptions.ts';
import type { StripeFake } from '../payments/stripe-fake.ts';
import { execute } from '../postgres.ts';
import type { Replica } from './replica.ts';

/** The service to kill, and what it works on. */
export type Scene = {
  readonly stripe: StripeFake;
  readonly databaseUrl: string;
  readonly replica: Replica;
  readonly accountId: string;
};

/** `scene` returns the current state: after every kill the replica is another one. */
export function killing(scene: () => Scene) {
  const kill = () => scene().replica.process.kill('SIGKILL');

  /** Kills when the service waits for the account's lock. */
  async function killAtWrite() {
    const { databaseUrl, accountId } = scene();
    const unlock = await lockAccount(databaseUrl, accountId);
    void waitForBlockedSessions(databaseUrl).then(async () => {
      kill();
      await unlock();
    });
  }

  /** Kills at the next such call of Stripe: before it has an effect, or before it is answered. */
  function killAtCall(call: RegExp, at: 'before' | 'after') {
    scene().stripe.intercept = (made, moment) => {
      if (moment !== at || !call.test(made)) return undefined;
      kill();
      return 'hang up';
    };
  }

  /** Kills when the service wants to write the result of such a call of Stripe. */
  function killAtWriteAfter(call: RegExp) {
    scene().stripe.intercept = async (made, moment) => {
      if (moment === 'after' && call.test(made)) await killAtWrite();
      return undefined;
    };
  }

  /** Kills as soon as the account has a purchase for which the condition is true. */
  async function killOnce(condition: string) {
    const { databaseUrl, accountId } = scene();
    const sql = `select 1 from purchases where account_id = $1 and ${condition}`;
    while ((await execute(databaseUrl, sql, [accountId])).length === 0);
    kill();
  }

  /** Resolves when the service is dead, and lets calls of Stripe through again. */
  async function killed() {
    const { replica, stripe } = scene();
    expect((await replica.ended).signal).toBe('SIGKILL');
    replica.close();
    stripe.intercept = () => undefined;
  }

  return { killAtWrite, killAtCall, killAtWriteAfter, killOnce, killed };
}
