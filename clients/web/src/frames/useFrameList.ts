/** The frames that a question finds, however many: loaded, let go and found again as one scrolls. */

import { type MutableRefObject, useCallback, useLayoutEffect, useRef, useState } from "react";
import { useLocation, useNavigationType } from "react-router";
import { type Asked, readAsked, writeAsked } from "../api/asked";
import { useSession } from "../api/session";
import {
  EMPTY,
  type List,
  lacking,
  lengthOf,
  listOf,
  near,
  withNewest,
  withNext,
  withPage,
} from "./list";
import { loadFrames } from "./loading";
import type { Position } from "./useRows";

const FIRST_PAGE = 60;
const PAGE = 200;
/** Lists of pages left lately: who comes back finds the list as it was, where it was. */
const REMEMBERED = 6;

export interface FrameList {
  /** Changes as another list is shown. */
  address: string;
  list: List;
  loading: boolean;
  /** Why the last request failed; what was loaded before is still there. */
  error: Error | null;
  /** Begin anew. */
  reload: () => void;
  /** Put what arrived on top. */
  refresh: () => Promise<void>;
  /** Places of frames that are in sight: what lacks there and soon after is loaded. */
  see: (first: number, last: number) => void;
  /** Load again what could not be loaded where one is. */
  retry: () => void;
  /** How far it is scrolled; kept for who comes back. */
  position: MutableRefObject<Position>;
}

/** One address while it is shown. */
interface Reading {
  address: string;
  /** As it stands, ahead of what is drawn. */
  list: List;
  /** What is being loaded: "top", "end", or a page's cursor. */
  busy: Map<string, Promise<void>>;
  /** Places of the first and the last frame in sight. */
  seen: [number, number];
  left: AbortController;
}

type Change = (list: List) => List;

type Shown = Pick<FrameList, "address" | "list" | "loading" | "error">;

const NOTHING_YET = { list: EMPTY, loading: true, error: null };

const START: Position = { base: 0, top: 0 };

const remembered = new Map<string, { list: List; position: Position }>();

/** `asked` may change: then another list is read. */
export function useFrameList(asked: Asked): FrameList {
  const address = writeAsked(asked);
  const { pathname } = useLocation();
  // Of this login: what one has seen is not for who logs in next.
  const { csrf } = useSession();
  const comesBack = useRef(false);
  comesBack.current = useNavigationType() === "POP";
  const [shown, show] = useState<Shown>({ address, ...NOTHING_YET });
  const reading = useRef<Reading | null>(null);
  const position = useRef(START);

  /** Do one thing to the list, unless it is being done; shows what came of it. */
  const change = useCallback((name: string, work: (reading: Reading) => Promise<Change>) => {
    const mine = reading.current;
    const done = mine?.busy.get(name);
    if (mine === null || done) return done;
    const { address, busy } = mine;
    const tell = (error: Error | null) => {
      if (mine === reading.current) show({ address, list: mine.list, loading: false, error });
    };
    const doing = work(mine)
      .then((changed) => {
        mine.list = changed(mine.list);
        tell(null);
      }, tell)
      .finally(() => busy.delete(name));
    busy.set(name, doing);
    return doing;
  }, []);

  const reload = useCallback(
    () =>
      void change("top", async (reading) => {
        const answer = await load(reading, 1, FIRST_PAGE);
        return () => listOf(answer);
      }),
    [change],
  );

  const refresh = useCallback(async () => {
    // What was asked before may not know what has come since.
    await reading.current?.busy.get("top");
    await change("top", async (reading) => {
      const answer = await load(reading, 1, FIRST_PAGE);
      return (list) => withNewest(list, answer);
    });
  }, [change]);

  const see = useCallback(
    (first: number, last: number) => {
      const mine = reading.current;
      if (mine === null) return;
      mine.seen = [first, last];
      const { cursor } = mine.list;
      if (cursor !== null && last + PAGE > lengthOf(mine.list)) {
        void change("end", async (reading) => {
          const answer = await load(reading, 1, PAGE, cursor);
          // The list may have begun anew meanwhile, and goes on elsewhere then.
          return (list) => (list.cursor === cursor ? withNext(list, answer) : list);
        });
      }
      for (const [from, count] of lacking(mine.list, first, last)) {
        void change(from, async (reading) => {
          const { frames } = await load(reading, count, count, from);
          return (list) => near(withPage(list, from, frames), first, last);
        });
      }
      mine.list = near(mine.list, first, last);
    },
    [change],
  );

  const retry = useCallback(() => {
    const mine = reading.current;
    if (mine === null) return;
    if (lengthOf(mine.list) === 0) reload();
    else see(...mine.seen);
  }, [reload, see]);

  // Before anything is painted: who comes back sees no empty page.
  useLayoutEffect(() => {
    const name = `${csrf} ${pathname}?${address}`;
    const known = comesBack.current ? remembered.get(name) : undefined;
    const left = new AbortController();
    const list = known?.list ?? EMPTY;
    reading.current = { address, list, busy: new Map(), seen: [0, 0], left };
    position.current = known?.position ?? START;
    show({ address, list, loading: known === undefined, error: null });
    if (known === undefined) reload();
    return () => {
      left.abort();
      const last = reading.current;
      if (last === null) return;
      remembered.delete(name);
      remembered.set(name, { list: last.list, position: position.current });
      for (const oldest of [...remembered.keys()].slice(0, -REMEMBERED)) remembered.delete(oldest);
    };
  }, [csrf, pathname, address, reload]);

  const current = shown.address === address ? shown : { address, ...NOTHING_YET };
  return { ...current, reload, refresh, see, retry, position };
}

function load({ address, left }: Reading, least: number, limit: number, from?: string) {
  return loadFrames(readAsked(new URLSearchParams(address)), least, limit, left.signal, from);
}
