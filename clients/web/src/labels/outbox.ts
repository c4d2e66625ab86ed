/**
 * Edits of labels that are on their way to the gateway.
 *
 * They lie in the browser's storage until the gateway has them, so a broken connection or a closed
 * page loses none. Labels belong to their authors: an edit is in conflict only where its own author
 * said something else meanwhile, in another window.
 */

import { Refusal, type Schemas } from "../api/client";
import { isSame, NOTHING, type Said } from "./saying";

type Shown = Schemas["Shown"];

export interface Edit {
  id: string;
  frame: string;
  attribute: string;
  said: Said;
  /** What its author said before, as far as was known. */
  base: Said;
  /** The answer that was before the author's eyes. */
  shown: Shown | null;
  /** Said in another window meanwhile. */
  conflict?: Said;
  /** Why the gateway does not take it. */
  refused?: string;
}

/** An author's labels of a frame, as the gateway has them. */
export interface Standing {
  etag: string;
  own: Readonly<Record<string, Said>>;
}

/** How edits reach the gateway; both throw a `Refusal`. */
export interface Post {
  read(frame: string): Promise<Standing>;
  put(frame: string, edits: readonly Edit[], etag: string): Promise<Standing>;
}

export interface Snapshot {
  edits: readonly Edit[];
  /** `waiting`: nobody answers; it is tried again by itself. */
  state: "idle" | "sending" | "waiting";
}

export type Outbox = ReturnType<typeof openOutbox>;

/** So many presses of a key in a row are one edit. */
const GATHER_MS = 250;
const RETRY_MS = 4000;
const ATTEMPTS = 4;

/** Open what waits under a key of the storage, and begin to send it. */
export function openOutbox(storage: Storage, key: string, post: Post) {
  let snapshot: Snapshot = { edits: load(), state: "idle" };
  const watchers = new Set<() => void>();
  const standing = new Map<string, Standing>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let busy = false;
  let again = false;

  function load(): Edit[] {
    try {
      return JSON.parse(storage.getItem(key) ?? "[]");
    } catch {
      return [];
    }
  }

  function show(next: Partial<Snapshot>) {
    snapshot = { ...snapshot, ...next };
    for (const watcher of watchers) watcher();
  }

  function keep(edits: Edit[]) {
    try {
      if (edits.length > 0) storage.setItem(key, JSON.stringify(edits));
      else storage.removeItem(key);
    } catch {
      // A full or forbidden storage: the edit still goes out, from memory.
    }
    show({ edits });
  }

  const change = (id: string, with_: Partial<Edit>) =>
    keep(snapshot.edits.map((edit) => (edit.id === id ? { ...edit, ...with_ } : edit)));

  function sendSoon(delay = GATHER_MS) {
    clearTimeout(timer);
    timer = setTimeout(flush, delay);
  }

  /** Say something; it is sent at once, or when the connection is back. */
  function add(edit: Omit<Edit, "id" | "conflict" | "refused">) {
    const isOther = (one: Edit) => one.frame !== edit.frame || one.attribute !== edit.attribute;
    const waiting = snapshot.edits.find((one) => !isOther(one));
    const base = waiting?.base ?? edit.base;
    keep([...snapshot.edits.filter(isOther), { ...edit, base, id: crypto.randomUUID() }]);
    sendSoon();
  }

  /** Send an edit over what was said elsewhere, or one that was refused, again. */
  function insist(id: string) {
    const edit = snapshot.edits.find((one) => one.id === id);
    if (edit === undefined) return;
    change(id, { base: edit.conflict ?? edit.base, conflict: undefined, refused: undefined });
    sendSoon(0);
  }

  /** Give an edit up: what the gateway has stays. */
  const discard = (id: string) => keep(snapshot.edits.filter((one) => one.id !== id));

  async function flush() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      do {
        again = false;
        const frames = new Set(snapshot.edits.filter(isSendable).map((edit) => edit.frame));
        if (frames.size > 0) show({ state: "sending" });
        for (const frame of frames) await sendFrame(frame);
      } while (again);
      show({ state: "idle" });
    } catch {
      show({ state: "waiting" });
      sendSoon(RETRY_MS);
    } finally {
      busy = false;
    }
  }

  async function sendFrame(frame: string) {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      try {
        const known = standing.get(frame) ?? (await post.read(frame));
        standing.set(frame, known);
        compare(frame, known);
        const edits = nextParcel(snapshot.edits, frame);
        if (edits.length === 0) return;
        standing.set(frame, await post.put(frame, edits, known.etag));
        settle(edits);
        attempt = -1; // the next parcel
      } catch (error) {
        if (!(error instanceof Refusal) || isPassing(error)) throw error;
        standing.delete(frame);
        if (error.status !== 412) refuse(frame, `${error.message} ${error.remedy}`.trim());
      }
    }
    throw new Error("The labels change faster than they can be read; it is tried again.");
  }

  /** Find what its author said elsewhere since it was edited here. */
  function compare(frame: string, { own }: Standing) {
    for (const edit of snapshot.edits.filter((one) => one.frame === frame && isSendable(one))) {
      const now = own[edit.attribute] ?? NOTHING;
      if (!isSame(now, edit.base) && !isSame(now, edit.said)) change(edit.id, { conflict: now });
    }
  }

  function settle(sent: readonly Edit[]) {
    const done = new Map(sent.map((edit) => [edit.id, edit]));
    const rest = snapshot.edits.filter((edit) => !done.has(edit.id));
    // What was edited while its predecessor was under way stands on that one now.
    const base = new Map(sent.map((edit) => [edit.frame + edit.attribute, edit.said]));
    keep(
      rest.map((edit) => ({ ...edit, base: base.get(edit.frame + edit.attribute) ?? edit.base })),
    );
  }

  function refuse(frame: string, reason: string) {
    for (const edit of nextParcel(snapshot.edits, frame)) change(edit.id, { refused: reason });
  }

  function subscribe(watcher: () => void) {
    watchers.add(watcher);
    return () => {
      watchers.delete(watcher);
    };
  }

  addEventListener("online", () => sendSoon(0));
  addEventListener("storage", (event) => {
    if (event.key === key) show({ edits: load() });
  });
  if (snapshot.edits.length > 0) sendSoon(0);

  return {
    add,
    insist,
    discard,
    subscribe,
    snapshot: () => snapshot,
    /** What was read of a frame anyway need not be read again before edits are sent. */
    learn: (frame: string, known: Standing) => void standing.set(frame, known),
  };
}

const isSendable = (edit: Edit) => edit.conflict === undefined && edit.refused === undefined;

/** Edits of a frame that one request can carry: those made before the same answer of a model. */
function nextParcel(edits: readonly Edit[], frame: string): Edit[] {
  const open = edits.filter((edit) => edit.frame === frame && isSendable(edit));
  const shown = JSON.stringify(open[0]?.shown);
  return open.filter((edit) => JSON.stringify(edit.shown) === shown);
}

/** Whether the same request may succeed later: nobody answers, it is busy, or one must log in. */
function isPassing({ status }: Refusal): boolean {
  return status === 0 || status === 401 || status === 429 || status >= 500;
}
