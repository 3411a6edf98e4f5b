/** The service and the usage log differ. */
export class Mismatch extends Error {
  constructor(accountId: string, what: string) {
    super(`account ${accountId}: ${what}`);
    this.name = 'Mismatch';
  }
}

/** Throws if the service's value is not the one that the usage log implies. */
export function assertEqual(accountId: string, name: string, actual: unknown, expected: unknown) {
  if (actual === expected) return;
  throw new Mismatch(accountId, `${name} is ${actual}, the usage log says ${expected}`);
}
