/**
 * The pages' addresses. Ids of accounts may have any printable character, also slashes and percent signs, so
 * that segments are decoded once and never put together again.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

const BASE = '/console';

export type Place = {
  readonly segments: readonly string[];
  readonly search: URLSearchParams;
};

/** Browsers resolve "." and ".." in paths, even where they are encoded. */
const encode = (segment: string): string =>
  encodeURIComponent(/^~*\.{1,2}$/.test(segment) ? `~${segment}` : segment);

function decode(text: string): string {
  try {
    const segment = decodeURIComponent(text);
    return /^~+\.{1,2}$/.test(segment) ? segment.slice(1) : segment;
  } catch {
    return text;
  }
}

/** The address of a page. Empty values of the query are left out. */
export function hrefOf(
  segments: readonly string[],
  query: Readonly<Record<string, string | undefined>> = {},
): string {
  const entries = Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : []));
  const search = entries.length > 0 ? `?${new URLSearchParams(entries as string[][])}` : '';
  return `${[BASE, ...segments.map(encode)].join('/')}${segments.length === 0 ? '/' : ''}${search}`;
}

export const readPlace = ({ pathname, search }: { pathname: string; search: string }): Place => ({
  segments: pathname.slice(BASE.length).split('/').filter(Boolean).map(decode),
  search: new URLSearchParams(search),
});

const listeners = new Set<() => void>();
const changed = () => {
  for (const listener of listeners) listener();
};

export function navigate(href: string, { replace = false } = {}) {
  history[replace ? 'replaceState' : 'pushState'](null, '', href);
  changed();
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => readPlace(location));
  useEffect(() => {
    const listener = () => setPlace(readPlace(location));
    listeners.add(listener);
    addEventListener('popstate', listener);
    return () => {
      listeners.delete(listener);
      removeEventListener('popstate', listener);
    };
  }, []);
  return place;
}

/** Follows links of the console without loading the page again. New tabs and downloads stay the browser's. */
export function followLinks(event: MouseEvent) {
  const link = (event.target as Element).closest('a');
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  if (!link || !isPlain || event.defaultPrevented || link.target) return;
  const isOurs = link.origin === location.origin && `${link.pathname}/`.startsWith(`${BASE}/`);
  if (!isOurs || link.hash) return;
  event.preventDefault();
  navigate(link.href);
}

export const Link = ({
  to,
  query,
  children,
  ...rest
}: {
  readonly to: readonly string[];
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly children: ComponentChildren;
  readonly class?: string;
  readonly current?: boolean;
  readonly title?: string;
}) => {
  const { current, ...attributes } = rest;
  return (
    <a
      href={hrefOf(to, query)}
      {...attributes}
      {...(current && { 'aria-current': 'page' as const })}
    >
      {children}
    </a>
  );
};
