/** What happens, as the gateway tells it: one stream for the whole page. */

import { useEffect, useRef, useSyncExternalStore } from "react";
import { doubtSession, type Schemas } from "./client";

export type LiveEvent = Schemas["Event"];
export type Connection = "connecting" | "live" | "waiting";

const KINDS = [
  "submitted",
  "described",
  "done",
  "failed",
  "quarantined",
  "retried",
  "labelled",
  "deleted",
  "training",
  "model",
] as const;

const listeners = new Set<(event: LiveEvent) => void>();
const watchers = new Set<() => void>();
let source: EventSource | null = null;
let connection: Connection = "connecting";
let last = "";
let retry: ReturnType<typeof setTimeout> | undefined;

function say(next: Connection) {
  connection = next;
  for (const watcher of watchers) watcher();
}

function open() {
  clearTimeout(retry);
  source?.close();
  const address = last ? `/api/v1/events?after=${last}` : "/api/v1/events";
  source = new EventSource(address);
  source.onopen = () => say("live");
  source.onerror = () => {
    say("waiting");
    // A browser gives up where the answer was an error; the last event is known, so go on from it.
    if (source?.readyState !== EventSource.CLOSED) return;
    doubtSession();
    retry = setTimeout(open, 3000);
  };
  for (const kind of KINDS) {
    source.addEventListener(kind, (message: MessageEvent<string>) => {
      last = message.lastEventId;
      const event: LiveEvent = JSON.parse(message.data);
      for (const listener of listeners) listener(event);
    });
  }
}

function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
  say("connecting");
}

/** A stream that is open stays so, and silent, when the network goes: the browser knows better. */
function lose() {
  source?.close();
  say("waiting");
}

function subscribe(watcher: () => void) {
  watchers.add(watcher);
  if (watchers.size === 1) {
    open();
    addEventListener("offline", lose);
    addEventListener("online", open);
  }
  return () => {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    removeEventListener("offline", lose);
    removeEventListener("online", open);
    close();
  };
}

/** Whether the stream is connected; opens it while somebody asks. */
export function useConnection(): Connection {
  return useSyncExternalStore(subscribe, () => connection);
}

/** Hear every event while mounted. */
export function useEvents(onEvent: (event: LiveEvent) => void) {
  const current = useRef(onEvent);
  current.current = onEvent;
  useEffect(() => {
    const listener = (event: LiveEvent) => current.current(event);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }, []);
}
