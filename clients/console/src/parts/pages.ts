/** Pages of a list with tokens: forwards by the token, and back by those before. */
import { useState } from 'preact/hooks';
import { type Read, useRead } from '../use-read.ts';

export type Paged<T> = {
  readonly read: Read<T>;
  /** Number of the page, from 1. */
  readonly page: number;
  /** Null: there is none. */
  readonly next: (() => void) | null;
  readonly previous: (() => void) | null;
};

export function usePages<T extends { nextPageToken?: string }>(
  group: string | null,
  read: (pageToken: string, signal: AbortSignal) => Promise<T>,
): Paged<T> {
  const [state, setState] = useState<{ group: string | null; tokens: readonly string[] }>({
    group,
    tokens: [],
  });
  const tokens = state.group === group ? state.tokens : [];
  const token = tokens.at(-1) ?? '';
  const found = useRead(
    group === null ? null : `${group} ${token}`,
    (signal) => read(token, signal),
    group ?? '',
  );
  const nextToken = found.isLoading ? '' : found.data?.nextPageToken;
  return {
    read: found,
    page: tokens.length + 1,
    next: nextToken ? () => setState({ group, tokens: [...tokens, nextToken] }) : null,
    previous: tokens.length > 0 ? () => setState({ group, tokens: tokens.slice(0, -1) }) : null,
  };
}
