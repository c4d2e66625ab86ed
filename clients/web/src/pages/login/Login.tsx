/** Where nobody is logged in: ask for a key. */

import { useState } from "react";
import { Refusal } from "../../api/client";
import { keyIn, looksLikeKey } from "../../api/key";
import { logIn } from "../../api/session";
import styles from "./Login.module.css";

/** Form for a key; `onDone` once it was taken. */
export function Login(props: { onDone: () => void; problem?: Error }) {
  const [pasted, setPasted] = useState("");
  const [shown, setShown] = useState(false);
  const [error, setError] = useState<Error | undefined>(props.problem);
  const [busy, setBusy] = useState(false);
  const key = keyIn(pasted);
  const unlikely = pasted !== "" && !looksLikeKey(key);

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
          Open the link that <code>scatterlens serve</code> printed, or paste it or a key here.
          Whoever runs the service makes keys.
        </p>
        <div className={styles.key}>
          <label htmlFor="key">Key</label>
          <div className={styles.line}>
            <input
              id="key"
              type={shown ? "text" : "password"}
              autoComplete="current-password"
              spellCheck={false}
              required
              placeholder="sl_…"
              value={pasted}
              aria-describedby={unlikely ? "unlikely" : undefined}
              onChange={(event) => {
                setPasted(event.target.value);
                setError(undefined);
              }}
            />
            <button type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
              Show
            </button>
          </div>
          {unlikely && (
            <p id="unlikely" className="muted">
              A key looks like <code>sl_0a1b2c3d4e5f_…</code>; is all of it there?
            </p>
          )}
        </div>
        {error && (
          <p className={styles.error} role="alert">
            {error.message} {error instanceof Refusal && error.remedy}
          </p>
        )}
        <button type="submit" className="primary" disabled={busy}>
          {busy ? "Logging in …" : "Log in"}
        </button>
      </form>
    </main>
  );
}
