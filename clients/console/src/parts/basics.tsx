/** What all pages are made of: instants, ids, amounts, badges, and what is said where there is nothing to show. */
import { type ComponentChildren, Fragment } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api.ts';
import { credits, instant, relative, zoneName } from '../format.ts';
import { serviceNow, useNow, useShared } from '../state.ts';
import type { Read } from '../use-read.ts';

/** An instant, with how long ago beside it. The exact one is in its title. */
export const At = ({
  at,
  bare = false,
}: {
  readonly at: string | undefined;
  readonly bare?: boolean;
}) => {
  const { zone } = useShared();
  const ms = Date.parse(at ?? '');
  if (Number.isNaN(ms)) return null;
  return (
    <time class="at" dateTime={at} title={`${at}`}>
      <span class="at-absolute">{instant(ms, zone)}</span>
      {!bare && <Ago ms={ms} />}
    </time>
  );
};

const Ago = ({ ms }: { readonly ms: number }) => {
  // Those of yesterday need no new text every second.
  const now = useNow(Math.abs(ms - serviceNow()) < 120_000 ? 1_000 : 15_000);
  return <span class="at-relative">{relative(ms, now)}</span>;
};

/** The name of the zone, for the heading of a column of instants. */
export const ZoneName = () => {
  const { zone } = useShared();
  return <span class="zone">{zoneName(zone, Date.now())}</span>;
};

export const Amount = ({
  of,
  hideZero = false,
}: {
  readonly of: string | bigint | number | undefined;
  readonly hideZero?: boolean;
}) =>
  hideZero && BigInt(of ?? 0) === 0n ? (
    <span class="faint">
      <span aria-hidden="true">–</span>
      <span class="unseen">0</span>
    </span>
  ) : (
    <Digits text={credits(of)} />
  );

/** More characters than an amount has that fits everywhere. */
const LONG_AMOUNT = 15;

/** An amount stays on one line; a very long one may go on to the next between its groups. */
export const Digits = ({ text }: { readonly text: string }) => {
  if (text.length <= LONG_AMOUNT) return <span class="amount">{text}</span>;
  return (
    <span class="amount is-long">
      {text.split(/(?<=,)/).map((group, index) => (
        <Fragment key={index}>
          {index > 0 && <wbr />}
          {group}
        </Fragment>
      ))}
    </span>
  );
};

/** Names of this length fit beside others, and are not broken. */
const SHORT_NAME = 28;

/** A name of a method, a caller, an operation: a short one is never broken. */
export const Name = ({ children }: { readonly children: string | undefined }) => (
  <span class={(children ?? '').length <= SHORT_NAME ? 'whole' : 'breakable'}>{children}</span>
);

/** An id that can be copied, and may be a link. */
export const Id = ({
  value,
  href,
  short = false,
}: {
  readonly value: string | undefined;
  readonly href?: string;
  /** Shows the end of a long one: UUIDs of one time begin alike. */
  readonly short?: boolean;
}) => {
  if (!value) return null;
  const shown = short && value.length > 16 ? `…${value.slice(-12)}` : value;
  const text = (
    <code class={shown.length <= SHORT_NAME ? 'id-text whole' : 'id-text'} title={value}>
      {shown}
    </code>
  );
  return (
    <span class="id">
      {href ? <a href={href}>{text}</a> : text}
      <Copy value={value} />
    </span>
  );
};

const Copy = ({ value }: { readonly value: string }) => {
  const { announce } = useShared();
  const [copied, setCopied] = useState(false);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
    } catch {
      announce('the browser does not allow copying here');
      return;
    }
    setCopied(true);
    announce('copied');
    timer.current = setTimeout(() => setCopied(false), 1_500);
  };
  return (
    <button type="button" class="copy" onClick={copy} aria-label={`Copy ${value}`} title="Copy">
      <svg viewBox="0 0 16 16" aria-hidden="true">
        {copied ? <path d="M3 8.5 6.5 12 13 4.5" /> : <path d="M5.5 5.5v-3h8v8h-3m-8-5h8v8h-8z" />}
      </svg>
    </button>
  );
};

export type Tone = 'plain' | 'good' | 'busy' | 'warn' | 'bad';

export const Badge = ({
  tone = 'plain',
  children,
}: {
  readonly tone?: Tone;
  readonly children: ComponentChildren;
}) => <span class={`badge badge-${tone}`}>{children}</span>;

/** What to do about an error: what the service says, in place of a code alone. */
export function adviceOf(error: ApiError): string {
  if (error.code === 'PAGE')
    return 'Load the page again. If it comes back, report it with what you did.';
  if (error.status === 0)
    return 'Check that the service runs and that this machine reaches its admin port, then try again.';
  switch (error.reason) {
    case 'CALLER_NOT_ALLOWED':
      return 'The policy does not allow you this. Whoever keeps it can add a role: docs/policy.md.';
    case 'ACCOUNT_NOT_FOUND':
      return 'Check the id: upper and lower case differ. The search lists accounts that begin alike.';
    case 'OVERLOADED':
    case 'RATE_LIMITED':
    case 'CONSOLE_BUSY':
      return 'The service has more to do than it can. Try again in some seconds.';
    case 'DATABASE_UNAVAILABLE':
      return 'The service runs, and its database does not answer. Nothing is lost; try again.';
  }
  switch (error.code) {
    case 'UNAUTHENTICATED':
      return 'Sign in again: the session or the token has ended.';
    case 'UNAVAILABLE':
    case 'DEADLINE_EXCEEDED':
      return 'Try again in some seconds.';
    case 'INVALID_ARGUMENT':
      return 'Correct what was entered, or open the page from the search.';
    case 'INTERNAL':
      return 'The log of the service says more.';
  }
  return '';
}

export const Problem = ({
  error,
  onRetry,
}: {
  readonly error: ApiError;
  readonly onRetry?: (() => void) | undefined;
}) => (
  <div class="notice notice-bad" role="alert">
    <p class="notice-title">
      {error.message}
      {error.reason && <code class="reason">{error.reason}</code>}
    </p>
    {error.violations.length > 0 && (
      <ul>
        {error.violations.map(({ field, description }) => (
          <li key={field}>
            <code>{field}</code> {description}
          </li>
        ))}
      </ul>
    )}
    <p>{adviceOf(error)}</p>
    {onRetry && (
      <button type="button" onClick={onRetry}>
        Try again
      </button>
    )}
  </div>
);

export const Empty = ({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ComponentChildren;
}) => (
  <div class="notice">
    <p class="notice-title">{title}</p>
    {children && <p>{children}</p>}
  </div>
);

/** What was read, once it is there; until then a place of about its size. */
export function Loaded<T>({
  read,
  lines = 6,
  children,
}: {
  readonly read: Read<T>;
  /** Lines that the content is likely to have. */
  readonly lines?: number;
  readonly children: (data: T) => ComponentChildren;
}) {
  const { data, error, isLoading, reload } = read;
  return (
    <>
      {error && <Problem error={error} onRetry={reload} />}
      {data !== undefined ? (
        <div class={isLoading ? 'loaded loading' : 'loaded'} aria-busy={isLoading}>
          {children(data)}
        </div>
      ) : (
        !error && <Waiting lines={lines} />
      )}
    </>
  );
}

const Waiting = ({ lines }: { readonly lines: number }) => (
  <div class="waiting" role="status" aria-label="loading">
    {Array.from({ length: lines }, (_, index) => (
      <span key={index} class="waiting-line" />
    ))}
  </div>
);

export const Fact = ({
  name,
  children,
}: {
  readonly name: ComponentChildren;
  readonly children: ComponentChildren;
}) => (
  <div class="fact">
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);

export const Facts = ({ children }: { readonly children: ComponentChildren }) => (
  <dl class="facts">{children}</dl>
);

export const Section = ({
  title,
  aside,
  children,
}: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
}) => (
  <section class="section">
    <div class="section-head">
      <h2>{title}</h2>
      {aside && <div class="section-aside">{aside}</div>}
    </div>
    {children}
  </section>
);
