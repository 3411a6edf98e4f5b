/** Sign-in by a token, which is given once and not kept by the browser. */
import { useState } from 'preact/hooks';
import { type ApiError, type Session, signIn } from '../api.ts';
import { Empty, Problem } from '../parts/basics.tsx';
import { toApiError } from '../use-read.ts';

export const SignIn = ({
  session,
  onSignedIn,
}: {
  readonly session: Session;
  readonly onSignedIn: () => void;
}) => {
  const [token, setToken] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await signIn(token.trim());
      setToken('');
      onSignedIn();
    } catch (failure) {
      setError(toApiError(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="sign-in">
      <h1 tabIndex={-1}>Sign in</h1>
      {session.canSignIn ? (
        <form onSubmit={submit}>
          <label class="field">
            Token
            <input
              type="password"
              required
              autocomplete="off"
              spellcheck={false}
              value={token}
              onInput={(event) => setToken(event.currentTarget.value)}
              aria-describedby="token-note"
            />
            <span class="field-note" id="token-note">
              A bearer token of your issuer, as callers of the service use it. The service keeps it
              in its memory until you sign out or it expires, at most 8 hours. This browser does not
              keep it.
            </span>
          </label>
          {error && <Problem error={error} />}
          <button type="submit" class="primary" disabled={isBusy || token.trim() === ''}>
            {isBusy ? 'Signing in…' : 'Sign in'}
          </button>
        </form>
      ) : (
        <Empty title="Nobody can sign in here.">
          The service has no policy with an issuer of tokens. Add one to the file of{' '}
          <code>POLICY_FILE</code>: docs/console.md says how. Until then <code>scrip</code> with a
          certificate shows the same.
        </Empty>
      )}
    </div>
  );
};
