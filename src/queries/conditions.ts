/**
 * The conditions of a query that depend on the filters of a request. Each combination is an SQL statement
 * of its own, so that each is planned for the index that serves it.
 */
export class Conditions {
  readonly #conditions: string[];
  readonly parameters: unknown[];

  /** Begins with the conditions and parameters that every such query has. */
  constructor(conditions: readonly string[], parameters: readonly unknown[]) {
    this.#conditions = [...conditions];
    this.parameters = [...parameters];
  }

  /** Adds a condition on one more parameter, given its placeholder, e.g. "$4". */
  add(condition: (placeholder: string) => string, parameter: unknown) {
    this.#conditions.push(condition(this.parameter(parameter)));
  }

  /** Adds a condition without a parameter. Its text must be one of a fixed number. */
  require(condition: string) {
    this.#conditions.push(condition);
  }

  /** Adds a parameter that no condition is on, such as a limit, and returns its placeholder. */
  parameter(value: unknown): string {
    this.parameters.push(value);
    return `$${this.parameters.length}`;
  }

  /** For the where clause. */
  toString(): string {
    return this.#conditions.join(' and ');
  }
}
