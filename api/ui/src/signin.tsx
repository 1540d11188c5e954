// Signing in: shown whenever gridtally answers that it does not know who asks.

import { useEffect, useRef, useState } from 'preact/hooks';

import { hasSignedIn, noteSignedIn } from './access';
import { path, post, Problem, response } from './api';
import { capital } from './format';
import { Failed } from './parts';

export function SignIn({ because }: { because: string }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => { input.current?.focus(); document.title = 'Sign in · gridtally'; }, []);
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await post(path('session'), { key: input.current?.value.trim() ?? '' });
      noteSignedIn(true);
      // The address stays: one comes out where one wanted to go.
      location.reload();
    } catch (error) {
      setProblem(error instanceof Problem ? error : new Problem({ detail: String(error) }));
      setBusy(false);
      input.current?.select();
    }
  };
  return (
    <main class="signin" id="signin">
      <form onSubmit={send} aria-labelledby="signin-title">
        <img src="/ui/icon.svg" alt="" width="36" height="36" />
        <h1 id="signin-title">Sign in to gridtally</h1>
        <label>API key <input ref={input} id="key" name="key" type="password" required autoComplete="current-password" spellcheck={false} aria-describedby="signin-why" /></label>
        <button type="submit" class="primary" disabled={busy}>Sign in</button>
        {problem ? <Failed problem={problem} /> : <p id="signin-why" class="facts">{because ? `${capital(because)}. ` : 'Figures are shown to those who have a key. '}Whoever runs gridtally gives keys out; this browser keeps a session of it, not the key.</p>}
      </form>
    </main>
  );
}

export function SignOut() {
  if (!hasSignedIn()) return null;
  const leave = async () => {
    noteSignedIn(false);
    try { await response(path('session'), { method: 'DELETE' }); } finally { location.reload(); }
  };
  return <button type="button" class="plain" id="signout" onClick={() => void leave()}>Sign out</button>;
}
