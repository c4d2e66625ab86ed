/** What surrounds every page: its name, the ways to the others, connection, theme, log out. */

import { type ReactNode, useState } from "react";
import { NavLink } from "react-router";
import { useConnection } from "../api/events";
import { useLogOut, useSession } from "../api/session";
import { UnsentCount } from "../labels/UnsentEdits";
import { PAGES } from "./pages";
import styles from "./Shell.module.css";

const CONNECTION = { connecting: "connecting …", live: "live", waiting: "reconnecting …" };

/** Header, navigation and the page itself. */
export function Shell(props: { children: ReactNode }) {
  const session = useSession();
  const connection = useConnection();
  const logOut = useLogOut();
  return (
    <div className={styles.shell}>
      <a className={styles.skip} href="#main">
        To the content
      </a>
      <header className={styles.header}>
        <NavLink to="/" className={styles.brand}>
          <img src="/public/icon.svg" alt="" width="24" height="24" />
          Scatterlens
        </NavLink>
        <nav aria-label="Pages" className={styles.pages}>
          {PAGES.filter((page) => !page.scope || session.scopes.includes(page.scope)).map(
            (page) => (
              <NavLink key={page.to} to={page.to} end={page.to === "/"} className={styles.page}>
                {page.name}
              </NavLink>
            ),
          )}
        </nav>
        <UnsentCount />
        <span className={styles.connection} data-state={connection} role="status">
          {CONNECTION[connection]}
        </span>
        <ThemeSwitch />
        <span className={styles.who} title={`Role: ${session.role}`}>
          {session.name}
        </span>
        <button type="button" onClick={logOut}>
          Log out
        </button>
      </header>
      <main id="main" className={styles.main} tabIndex={-1}>
        {props.children}
      </main>
    </div>
  );
}

function ThemeSwitch() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme);
  const other = theme === "light" ? "dark" : "light";
  function change() {
    document.documentElement.dataset.theme = other;
    localStorage.setItem("scatterlens.theme", other);
    setTheme(other);
  }
  return (
    <button
      type="button"
      onClick={change}
      aria-label={`Use the ${other} theme`}
      title={`${other} theme`}
    >
      <svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
        <circle cx="8" cy="8" r="6.5" fill="none" stroke="currentColor" strokeWidth="1.5" />
        <path d="M8 1.5a6.5 6.5 0 0 1 0 13z" fill="currentColor" />
      </svg>
    </button>
  );
}
