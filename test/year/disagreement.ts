/** Where the service and the usage log do not agree. */
export class Disagreement extends Error {
  constructor(accountId: string, what: string) {
    super(`account ${accountId}: ${what}`);
    this.name = 'Disagreement';
  }
}

/** Throws where something is not what the log says. Values are compared as their text. */
export function agree(accountId: string, name: string, is: unknown, mustBe: unknown) {
  if (is === mustBe) return;
  throw new Disagreement(accountId, `${name} is ${is}, the usage log says ${mustBe}`);
}
