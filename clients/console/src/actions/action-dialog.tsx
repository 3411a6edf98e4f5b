/**
 * A dialog for an action: what it does, before it does it, and why. One request id goes with one content, so that
 * neither a double click nor a retry acts twice.
 */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../api.ts';
import { change, credits } from '../format.ts';
import { Problem } from '../parts/basics.tsx';
import { useSession, useShared } from '../state.ts';
import { toApiError } from '../use-read.ts';

/** A figure before the action and after it. */
export type Effect = {
  readonly name: string;
  readonly before: bigint;
  readonly after: bigint;
};

export type Action<T> = {
  readonly title: string;
  /** What the button says. */
  readonly verb: string;
  /** What the person entered: another content is another request. */
  readonly content: unknown;
  /** Null: the action cannot be done as entered. */
  readonly effects: readonly Effect[] | null;
  /** What else is to be known of the effect. */
  readonly notes?: readonly string[];
  /** Where the reason is kept. */
  readonly reasonIsKept: string;
  readonly act: (requestId: string, reason: string) => Promise<T>;
  /** What was done. */
  readonly said: (answer: T) => string;
};

/** crypto.randomUUID is missing where the page comes over plain HTTP from another machine. */
export function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The request id of a content: the same also after another content was entered meanwhile. */
function useRequestId(content: string): string {
  const ids = useRef(new Map<string, string>());
  const id = ids.current.get(content) ?? newRequestId();
  ids.current.set(content, id);
  return id;
}

/** Whether the action may have taken effect although it failed: the answer was lost, or came too late. */
const mayHaveActed = ({ status, reason }: ApiError): boolean =>
  status === 0 || status === 499 || (status >= 500 && reason !== 'CONSOLE_BUSY');

/**
 * The button that opened a dialog may go with what the dialog did, at once or when the page is read again: who was
 * there is at the heading then, and not at the top of the document.
 */
function keepFocus() {
  const kept = document.activeElement;
  const look = () => {
    if (document.activeElement === document.body)
      document.querySelector<HTMLElement>('main h1')?.focus();
    if (document.activeElement !== kept) watch.disconnect();
  };
  const watch = new MutationObserver(look);
  watch.observe(document.body, { childList: true, subtree: true });
  look();
}

export function ActionDialog<T>({
  action,
  children,
  onClose,
  onDone,
}: {
  readonly action: Action<T>;
  /** The fields. */
  readonly children?: ComponentChildren;
  readonly onClose: () => void;
  /** After the action: what is shown is read again. */
  readonly onDone: () => void;
}) {
  const { announce } = useShared();
  const { caller } = useSession();
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState('');
  const [isActing, setActing] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const requestId = useRequestId(JSON.stringify([action.content, reason]));
  // Another content would be another request, and act once more.
  const isFixed = isActing || (error !== null && mayHaveActed(error));

  useEffect(() => {
    dialog.current?.showModal();
    return keepFocus;
  }, []);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (isActing || done !== null) return;
    setActing(true);
    try {
      const text = action.said(await action.act(requestId, reason.trim()));
      setError(null);
      setDone(text);
      announce(text);
      onDone();
    } catch (failure) {
      setError(toApiError(failure));
    } finally {
      setActing(false);
    }
  };

  return (
    <dialog ref={dialog} class="action" aria-labelledby="action-title" onClose={onClose}>
      <form onSubmit={submit}>
        <h2 id="action-title">{action.title}</h2>
        {done === null ? (
          <>
            <fieldset class="action-fields" disabled={isFixed}>
              {children}
              <label class="field">
                Reason
                <textarea
                  required
                  rows={2}
                  maxLength={256}
                  value={reason}
                  onInput={(event) => setReason(event.currentTarget.value)}
                  placeholder="Such as: sorry for the outage, ticket 17"
                />
                <span class="field-note">{action.reasonIsKept}</span>
              </label>
            </fieldset>
            <Preview action={action} />
            {error && <Problem error={error} />}
            {isFixed && !isActing && (
              <p class="notice notice-warn" role="status">
                It is not known whether it took effect. Try again: the same request acts once.
                Before you leave, look into the history.
              </p>
            )}
            <div class="action-buttons">
              <button type="button" onClick={() => dialog.current?.close()}>
                Cancel
              </button>
              <button
                type="submit"
                class="primary"
                disabled={isActing || action.effects === null || reason.trim() === ''}
              >
                {isActing ? 'Working…' : isFixed ? 'Try again' : action.verb}
              </button>
            </div>
            <p class="field-note">
              As <strong>{caller}</strong>, request <code>{requestId}</code>
            </p>
          </>
        ) : (
          <>
            <p class="notice notice-good">{done}</p>
            <div class="action-buttons">
              <button type="button" class="primary" onClick={() => dialog.current?.close()}>
                Close
              </button>
            </div>
          </>
        )}
      </form>
    </dialog>
  );
}

const Preview = ({
  action: { effects, notes = [] },
}: {
  readonly action: Pick<Action<unknown>, 'effects' | 'notes'>;
}) => (
  <div class="preview" aria-live="polite">
    <h3>What it will do</h3>
    {effects === null ? (
      <p class="faint">Complete the form to see.</p>
    ) : (
      <table>
        <thead class="unseen">
          <tr>
            <th scope="col">Figure</th>
            <th scope="col">Before</th>
            <th scope="col">After</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          {effects.map(({ name, before, after }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="number">{credits(before)}</td>
              <td class="number">
                <span aria-hidden="true">→ </span>
                <strong>{credits(after)}</strong>
              </td>
              <td class="number faint">
                {before === after ? 'unchanged' : change(after - before)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    )}
    {notes.map((note) => (
      <p key={note} class="field-note">
        {note}
      </p>
    ))}
  </div>
);
