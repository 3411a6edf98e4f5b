/** Collects what is wrong with an import, so that whoever exported it learns of everything at once. */
import { Failure, type Violation } from '../../failure.ts';
import { invalidField } from '../failures.ts';

export class Mistakes {
  readonly #failures: Failure[] = [];

  add(failure: Failure | null) {
    if (failure) this.#failures.push(failure);
  }

  /** A field that is wrong. */
  addField(field: string, description: string) {
    this.add(invalidField(field, description));
  }

  /** The first mistake, with all of them in its message and violations; null if there are none. */
  get failure(): Failure | null {
    const [first, ...others] = this.#failures;
    if (!first || others.length === 0) return first ?? null;
    const { reason, metadata } = first;
    const message = this.#failures.map((failure) => failure.message).join('; ');
    const violations = this.#failures.flatMap((failure): readonly Violation[] =>
      failure.violations.map((violation) => ({ ...violation, reason: failure.reason })),
    );
    return new Failure(reason, message, metadata, violations);
  }
}

/** The same failure, of a field. */
export const atField = ({ reason, message, metadata }: Failure, field: string): Failure =>
  new Failure(reason, `${field}: ${message}`, { ...metadata, field }, [
    { field, description: message },
  ]);
