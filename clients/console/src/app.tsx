/** The frame of all pages: the search, the way to the pages, who is signed in, and how things are shown. */
import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type ApiError, readSession, type Session, signOut } from './api.ts';
import { instant, zoneName } from './format.ts';
import { Account } from './pages/account/account.tsx';
import { Charge } from './pages/charge.tsx';
import { Home } from './pages/home.tsx';
import { Live } from './pages/live.tsx';
import { Plan } from './pages/plan.tsx';
import { Plans } from './pages/plans.tsx';
import { Search } from './pages/search.tsx';
import { SignIn } from './pages/sign-in.tsx';
import { Empty, Problem } from './parts/basics.tsx';
import { followLinks, hrefOf, Link, navigate, type Place, usePlace } from './router.tsx';
import {
  type Shared,
  SharedContext,
  setServiceTime,
  type Theme,
  useKept,
  useNow,
  useShared,
} from './state.ts';
import { toApiError } from './use-read.ts';

/** The clock of a sandbox is moved while the page is open. */
const REFRESH_MS = { sandbox: 3_000, ordinary: 60_000 };

export const App = () => {
  const place = usePlace();
  const [session, setSession] = useState<Session | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [zone, setZone] = useKept('zone', 'utc', ['utc', 'local']);
  const [theme, setTheme] = useKept<Theme>('theme', 'system', ['system', 'light', 'dark']);
  const [said, setSaid] = useState('');

  const refresh = useCallback(() => {
    readSession().then(
      (read) => {
        if (read.serviceTime) setServiceTime(read.serviceTime);
        // What is the same must not draw everything again.
        setSession((before) => (isSame(before, read) ? before : read));
        setError(null);
      },
      (failure) => setError(toApiError(failure)),
    );
  }, []);

  useEffect(refresh, [refresh]);
  const isSandbox = session?.sandbox === true;
  useEffect(() => {
    const every = isSandbox ? REFRESH_MS.sandbox : REFRESH_MS.ordinary;
    const timer = setInterval(() => !document.hidden && refresh(), every);
    return () => clearInterval(timer);
  }, [refresh, isSandbox]);

  useEffect(() => {
    if (theme === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = theme;
  }, [theme]);

  useEffect(() => {
    document.addEventListener('click', followLinks);
    return () => document.removeEventListener('click', followLinks);
  }, []);

  // The same text twice is said twice.
  const announce = useCallback((text: string) => {
    setSaid('');
    requestAnimationFrame(() => setSaid(text));
  }, []);
  const shared = useMemo(
    (): Shared | null => session && { session, refresh, zone, setZone, announce },
    [session, zone, refresh, announce],
  );
  if (!session || !shared)
    return (
      <main class="page" id="main">
        {error ? <Problem error={error} onRetry={refresh} /> : <p class="unseen">loading</p>}
      </main>
    );
  return (
    <SharedContext.Provider value={shared}>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Header place={place} session={session} onSignedOut={refresh} />
      {session.sandbox && <SandboxBanner />}
      <main class="page" id="main" tabIndex={-1}>
        {session.needsSignIn && session.caller === null ? (
          <SignIn session={session} onSignedIn={refresh} />
        ) : (
          <Content place={place} />
        )}
      </main>
      <Footer theme={theme} onTheme={setTheme} version={session.version} />
      <div class="unseen" role="status" aria-live="polite">
        {said}
      </div>
    </SharedContext.Provider>
  );
};

/** But for its time. */
const isSame = (before: Session | null, after: Session): boolean =>
  before !== null &&
  JSON.stringify({ ...before, serviceTime: null }) ===
    JSON.stringify({ ...after, serviceTime: null });

/** Of the address of each page, at most; an account's says itself what it has not. */
const SEGMENTS: Readonly<Record<string, number>> = {
  search: 1,
  accounts: Number.POSITIVE_INFINITY,
  charges: 3,
  plans: 2,
  live: 1,
};

const Content = ({ place }: { readonly place: Place }) => {
  const [page = '', id] = place.segments;
  const isWhole = place.segments.length <= (SEGMENTS[page] ?? 0);
  useTitle(place);
  useFocus(place);
  // The key makes pages of different things different pages.
  switch (isWhole ? page : null) {
    case '':
      return <Home place={place} />;
    case 'search':
      return <Search place={place} />;
    case 'accounts':
      if (id) return <Account key={id} place={place} />;
      break;
    case 'charges':
      if (id) return <Charge key={place.segments.join(' ')} place={place} />;
      break;
    case 'plans':
      return id ? <Plan key={id} place={place} /> : <Plans />;
    case 'live':
      return <Live />;
  }
  return (
    <>
      <h1 tabIndex={-1}>There is no such page</h1>
      <Empty title="The address names no page of the console.">
        Go to the <Link to={[]}>accounts</Link>, or search for an id above.
      </Empty>
    </>
  );
};

const NAMES: Readonly<Record<string, string>> = {
  '': 'Accounts',
  search: 'Search',
  plans: 'Plans',
  live: 'Live',
};

function useTitle({ segments }: Place) {
  const [page = '', id = '', rest = ''] = segments;
  const title = [id && page === 'charges' ? rest : id, id && rest && page !== 'charges' ? rest : '']
    .concat(NAMES[page] ?? page)
    .filter(Boolean)
    .join(' · ');
  useEffect(() => {
    document.title = `${title} · Scrip`;
  }, [title]);
}

/** After a change of the page the heading has the focus, as after loading one. Tabs of an account keep it. */
function useFocus({ segments }: Place) {
  const page = segments.slice(0, segments[0] === 'accounts' ? 2 : undefined).join('/');
  const before = useRef(page);
  useEffect(() => {
    if (before.current === page) return;
    before.current = page;
    document.querySelector<HTMLElement>('main h1')?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [page]);
}

const Header = ({
  place,
  session,
  onSignedOut,
}: {
  readonly place: Place;
  readonly session: Session;
  readonly onSignedOut: () => void;
}) => {
  const [page = ''] = place.segments;
  const leave = async () => {
    await signOut().catch(() => {});
    onSignedOut();
  };
  const link = (to: string, title: string) => (
    <Link to={to === '' ? [] : [to]} current={page === to}>
      {title}
    </Link>
  );
  return (
    <header class="top">
      <div class="top-inner">
        <a class="brand" href={hrefOf([])}>
          <span class="brand-mark" aria-hidden="true">
            <i />
            <i />
            <i />
          </span>
          Scrip
        </a>
        <nav class="top-nav" aria-label="Pages of the console">
          {link('', 'Accounts')}
          {link('plans', 'Plans')}
          {link('live', 'Live')}
        </nav>
        <SearchBox place={place} />
        <div class="top-person">
          {session.signedIn ? (
            <>
              <span class="person" title={session.caller ?? ''}>
                {session.caller}
              </span>
              <button type="button" onClick={leave}>
                Sign out
              </button>
            </>
          ) : (
            session.caller !== null && (
              <span class="faint" title="There is no policy: actions need one, and a sign-in">
                read only
              </span>
            )
          )}
        </div>
      </div>
    </header>
  );
};

const SearchBox = ({ place }: { readonly place: Place }) => {
  const input = useRef<HTMLInputElement>(null);
  const asked = place.segments[0] === 'search' ? (place.search.get('q') ?? '') : '';
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const isWriting =
        target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
      if (event.key !== '/' || isWriting || event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector('dialog[open]')) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    document.addEventListener('keydown', focus);
    return () => document.removeEventListener('keydown', focus);
  }, []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const q = input.current?.value.trim() ?? '';
    if (q) navigate(hrefOf(['search'], { q }));
  };
  return (
    <search class="search">
      <form onSubmit={submit}>
        <label class="unseen" for="search">
          Search by any id
        </label>
        <input
          ref={input}
          id="search"
          type="search"
          autocomplete="off"
          spellcheck={false}
          key={asked}
          defaultValue={asked}
          placeholder="Search by any id"
        />
        <span class="key" aria-hidden="true">
          /
        </span>
      </form>
    </search>
  );
};

const SandboxBanner = () => {
  const now = useNow();
  return (
    <aside class="sandbox" aria-label="Sandbox">
      <strong>Sandbox</strong> not for production. Its time is{' '}
      <span class="amount">{instant(now, 'utc')} UTC</span>; <code>scrip sandbox advance 40d</code>{' '}
      moves it.
    </aside>
  );
};

const THEMES: readonly (readonly [Theme, string])[] = [
  ['system', 'Automatic'],
  ['light', 'Light'],
  ['dark', 'Dark'],
];

const Footer = ({
  theme,
  onTheme,
  version,
}: {
  readonly theme: Theme;
  readonly onTheme: (theme: Theme) => void;
  readonly version: string;
}) => {
  const { zone, setZone } = useShared();
  return (
    <footer class="bottom">
      <Choice label="Colours">
        {THEMES.map(([value, title]) => (
          <button
            key={value}
            type="button"
            aria-pressed={theme === value}
            onClick={() => onTheme(value)}
          >
            {title}
          </button>
        ))}
      </Choice>
      <Choice label="Times in">
        <button type="button" aria-pressed={zone === 'utc'} onClick={() => setZone('utc')}>
          UTC
        </button>
        <button type="button" aria-pressed={zone === 'local'} onClick={() => setZone('local')}>
          Local ({zoneName('local', Date.now())})
        </button>
      </Choice>
      <ServiceTime />
      <span class="faint">Scrip {version}</span>
    </footer>
  );
};

const Choice = ({
  label,
  children,
}: {
  readonly label: string;
  readonly children: ComponentChildren;
}) => (
  <fieldset class="choice">
    <legend class="faint">{label}</legend>
    {children}
  </fieldset>
);

const ServiceTime = () => {
  const { zone } = useShared();
  const now = useNow();
  return (
    <span class="faint">
      Service time <span class="amount">{instant(now, zone)}</span> {zoneName(zone, now)}
    </span>
  );
};
