/** A request that the model expects to fail. */
export class Refusal {
  readonly reason: string;
  /** What the error's metadata must contain. */
  readonly metadata: Readonly<Record<string, string>>;

  constructor(reason: string, metadata: Readonly<Record<string, string | bigint>> = {}) {
    this.reason = reason;
    this.metadata = Object.fromEntries(
      Object.entries(metadata).map(([name, value]) => [name, String(value)]),
    );
  }
}
