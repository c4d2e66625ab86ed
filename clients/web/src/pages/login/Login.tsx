/** Where nobody is logged in: ask for a key. */

import { useState } from "react";
import { Refusal } from "../../api/client";
import { logIn } from "../../api/session";
import styles from "./Login.module.css";

/** Form for a key; `onDone` once it was taken. */
export function Login(props: { onDone: () => void; problem?: Error }) {
  const [key, setKey] = useState("");
  const [error, setError] = useState<Error | undefined>(props.problem);
  const [busy, setBusy] = useState(false);

  async function submit(event: React.FormEvent) {
    event.preventDefault();
    setBusy(true);
    try {
      await logIn(key);
      props.onDone();
    } catch (failure) {
      setError(failure instanceof Error ? failure : new Error(String(failure)));
      setBusy(false);
    }
  }

  return (
    <main className={styles.login}>
      <form className={styles.form} onSubmit={submit}>
        <img src="/public/icon.svg" alt="" width="48" height="48" />
        <h1>Scatterlens</h1>
        <p className="muted">
          Open the link that <code>scatterlens serve</code> printed, or paste a key. Keys are made
          by <code>scatterlens keys create</code>.
        </p>
        <label>
          Key
          <input
            type="password"
            autoComplete="current-password"
            required
            placeholder="sl_…"
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
        </label>
        {error && (
          <p className={styles.error} role="alert">
            {error.message} {error instanceof Refusal && error.remedy}
          </p>
        )}
        <button type="submit" className="primary" disabled={busy}>
          Log in
        </button>
      </form>
    </main>
  );
}
