/** Reads for a page: what was read, whether it is old, and why it failed. */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError } from './api.ts';

export type Read<T> = {
  /** What was read last, of the same group. */
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  /** `data` is missing, or that of an earlier key. */
  readonly isLoading: boolean;
  readonly reload: () => void;
};

type State<T> = {
  readonly group: string;
  readonly key: string;
  readonly data?: T;
  readonly error?: ApiError;
};

/**
 * Reads again when the key changes. The old data stays meanwhile, so that nothing jumps, unless the group
 * changes: data of another account is not shown. A key of null reads nothing.
 */
export function useRead<T>(
  key: string | null,
  read: (signal: AbortSignal) => Promise<T>,
  group = key ?? '',
): Read<T> {
  const [state, setState] = useState<State<T>>({ group, key: '' });
  const [turn, setTurn] = useState(0);
  const latest = useRef(read);
  latest.current = read;

  useEffect(() => {
    if (key === null) return;
    const cancel = new AbortController();
    latest.current(cancel.signal).then(
      (data) => {
        if (!cancel.signal.aborted) setState({ group, key, data });
      },
      (error) => {
        if (cancel.signal.aborted) return;
        setState((before) => ({
          ...(before.group === group ? before : {}),
          group,
          key,
          error: toApiError(error),
        }));
      },
    );
    return () => cancel.abort();
  }, [key, group, turn]);

  const reload = useCallback(() => setTurn((before) => before + 1), []);
  const isSameGroup = state.group === group;
  return {
    data: isSameGroup ? state.data : undefined,
    error: isSameGroup && state.key === key ? state.error : undefined,
    isLoading: key !== null && state.key !== key,
    reload,
  };
}

/** A fault of the page itself is shown like one of the service. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  console.error(error);
  return new ApiError(0, {
    code: 'PAGE',
    message: `the page has a fault: ${(error as Error).message}`,
  });
}
