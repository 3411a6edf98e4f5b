/**
 * Calls `process` once per item, in order, at most `limit` at a time, and starts no more after `signal`
 * aborts. `process` handles its own errors: it must not reject.
 */
export async function forEachConcurrently<Item>(
  items: Iterable<Item>,
  limit: number,
  signal: AbortSignal | null,
  process: (item: Item) => Promise<void>,
): Promise<void> {
  const remaining = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = remaining.next(); !next.done; next = remaining.next()) {
      if (signal?.aborted) return;
      await process(next.value);
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
}
