/** Who is logged in, and what they may do. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useContext, useEffect, useMemo } from "react";
import { api, dataOf, onSessionDoubt, Refusal, type Schemas, setCsrfToken } from "./client";
import { keyInFragment } from "./key";

export type Session = Schemas["SessionInfo"];
type Scope = Session["scopes"][number];

const SessionContext = createContext<Session | null>(null);

/** Take the key out of a link `/#key=…`: a fragment reaches no server and no log. */
function takeKeyFromLink(): string | null {
  const key = keyInFragment(location.hash);
  if (key) history.replaceState(history.state, "", location.pathname + location.search);
  return key;
}

/** Log in with a key; the gateway keeps the session in a cookie. */
export async function logIn(key: string): Promise<Session> {
  const session = await dataOf(api.POST("/api/v1/session", { body: { key: key.trim() } }));
  setCsrfToken(session.csrf ?? "");
  return session;
}

async function currentSession(): Promise<Session | null> {
  const key = takeKeyFromLink();
  if (key) return logIn(key);
  try {
    const session = await dataOf(api.GET("/api/v1/session"));
    setCsrfToken(session.csrf ?? "");
    return session;
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) return null;
    throw error;
  }
}

/** The session of this browser; `null` where nobody is logged in. */
export function useCurrentSession() {
  const session = useQuery({ queryKey: ["session"], queryFn: currentSession, staleTime: 60_000 });
  const { refetch } = session;
  useEffect(() => {
    // A link opened where the page is open already changes the fragment and loads nothing.
    const onLink = () => {
      if (keyInFragment(location.hash)) refetch();
    };
    addEventListener("hashchange", onLink);
    const forget = onSessionDoubt(() => refetch({ cancelRefetch: false }));
    return () => {
      removeEventListener("hashchange", onLink);
      forget();
    };
  }, [refetch]);
  return session;
}

/** Gives the session to all that is inside. */
export function SessionProvider(props: { session: Session; children: ReactNode }) {
  return <SessionContext.Provider value={props.session}>{props.children}</SessionContext.Provider>;
}

/** The session, inside a page. */
export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error("useSession is used outside SessionProvider");
  return session;
}

/** Whether the session has a scope. */
export function useMay(scope: Scope): boolean {
  return useSession().scopes.includes(scope);
}

/** End the session here and at the gateway. */
export function useLogOut() {
  const queries = useQueryClient();
  return useMemo(
    () => async () => {
      await api.DELETE("/api/v1/session");
      queries.setQueryData(["session"], null);
      // What one has seen is not for who logs in next.
      queries.removeQueries({ predicate: (query) => query.queryKey[0] !== "session" });
    },
    [queries],
  );
}
