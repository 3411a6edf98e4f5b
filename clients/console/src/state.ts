/** What every page knows: who is signed in, the service's time, and how the person wants to see things. */
import { createContext } from 'preact';
import { useContext, useEffect, useState } from 'preact/hooks';
import type { Session } from './api.ts';
import type { Zone } from './format.ts';

export type Theme = 'system' | 'light' | 'dark';

export type Shared = {
  readonly session: Session;
  /** Reads the session again: its time, and what is allowed. */
  readonly refresh: () => void;
  readonly zone: Zone;
  readonly setZone: (zone: Zone) => void;
  /** Says something to those who do not see the page change. */
  readonly announce: (text: string) => void;
};

export const SharedContext = createContext<Shared | null>(null);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (!shared) throw new Error('useShared: the page has no session');
  return shared;
}

export const useSession = (): Session => useShared().session;

export const useMay = (method: string): boolean => useSession().methods.includes(method);

/** The service's time when the session was read, and this browser's monotonic time then. */
let base = { service: Date.now(), here: performance.now() };

export function setServiceTime(serviceTime: string) {
  base = { service: Date.parse(serviceTime), here: performance.now() };
  tick();
}

/** The service's time in epoch milliseconds: its clock can be another one, as in a sandbox. */
export const serviceNow = (): number => base.service + performance.now() - base.here;

const watchers = new Set<() => void>();
const tick = () => {
  for (const watcher of watchers) watcher();
};
setInterval(() => {
  if (!document.hidden) tick();
}, 1_000);

/** The service's time, in steps. */
export function useNow(stepMs = 1_000): number {
  const step = () => Math.floor(serviceNow() / stepMs) * stepMs;
  const [now, setNow] = useState(step);
  useEffect(() => {
    const watcher = () => setNow(step());
    watchers.add(watcher);
    return () => void watchers.delete(watcher);
  }, [stepMs]);
  return now;
}

/** A choice that this browser keeps. Where it keeps nothing, the choice lasts as long as the page. */
export function useKept<T extends string>(
  name: string,
  first: T,
  all: readonly T[],
): readonly [T, (value: T) => void] {
  const key = `scrip-console-${name}`;
  const [value, setValue] = useState<T>(() => {
    const kept = readKept(key);
    return all.find((one) => one === kept) ?? first;
  });
  return [
    value,
    (next) => {
      setValue(next);
      try {
        localStorage.setItem(key, next);
      } catch {
        // Storage is off.
      }
    },
  ];
}

function readKept(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
