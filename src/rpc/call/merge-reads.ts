/** Reads the rows of several cells page by page, as one sequence. */

/** Rows after the last one that was read; from the first if that is null. A page that is not full is the last. */
export type Read<Row> = (last: Row | null) => Promise<readonly Row[]>;

/**
 * The rows of all reads, each in its own order; of those that come next the one that `compare` puts first. They come
 * in pages. No more than a page of each read is in memory.
 */
export async function* mergeReads<Row>(
  reads: readonly Read<Row>[],
  pageSize: number,
  compare: (one: Row, other: Row) => number,
): AsyncGenerator<readonly Row[]> {
  const sources = reads.map((read) => new Source(read, pageSize));
  for (;;) {
    await Promise.all(sources.map((source) => source.fill()));
    const page: Row[] = [];
    // Until a source has to read on: its next row may come before those of the others.
    while (!sources.some((source) => source.mustRead)) {
      const first = sources
        .filter((source) => source.row !== undefined)
        .reduce<Source<Row> | null>(
          (best, one) => (!best || compare(one.row as Row, best.row as Row) < 0 ? one : best),
          null,
        );
      if (!first) break;
      page.push(first.take());
    }
    yield page;
    if (sources.every((source) => source.isDone)) return;
  }
}

class Source<Row> {
  readonly #read: Read<Row>;
  readonly #pageSize: number;
  #rows: readonly Row[] = [];
  #at = 0;
  #last: Row | null = null;
  #isRead = false;

  constructor(read: Read<Row>, pageSize: number) {
    this.#read = read;
    this.#pageSize = pageSize;
  }

  /** The next row; undefined: none is in memory. */
  get row(): Row | undefined {
    return this.#rows[this.#at];
  }

  /** Whether the next row, if there is one, has to be read. */
  get mustRead(): boolean {
    return this.row === undefined && !this.#isRead;
  }

  get isDone(): boolean {
    return this.row === undefined && this.#isRead;
  }

  async fill() {
    if (!this.mustRead) return;
    this.#rows = await this.#read(this.#last);
    this.#at = 0;
    this.#last = this.#rows.at(-1) ?? null;
    this.#isRead = this.#rows.length < this.#pageSize;
  }

  take(): Row {
    return this.#rows[this.#at++] as Row;
  }
}
