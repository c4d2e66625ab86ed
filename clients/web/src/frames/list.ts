/**
 * A list of frames of any length: pages below one another, each known by the cursor that loads it.
 *
 * Only pages near what is seen are held; one that was let go keeps its place and its size, so that
 * nothing moves, and is loaded again when it comes into sight.
 */

import type { Schemas } from "../api/client";

export type Frame = Schemas["FrameSummary"];

/** What the gateway answers. */
export interface Answer {
  frames: readonly Frame[];
  /** Where the next page begins; null at the end. */
  cursor: string | null;
}

interface Page {
  /** Undefined for the first, which is never let go. */
  cursor: string | undefined;
  /** Place of its first frame in the list. */
  start: number;
  count: number;
  /** null while it is let go. */
  frames: readonly Frame[] | null;
}

export interface List {
  pages: readonly Page[];
  /** Where the list goes on; null if all of it is known. */
  cursor: string | null;
}

export const EMPTY: List = { pages: [], cursor: null };

/** Pages on each side of those in sight that are held. */
const HELD = 5;
/** Frames that may gather on top before the list begins anew. */
const MOST_ON_TOP = 400;

/** A list that begins with an answer. */
export function listOf({ frames, cursor }: Answer): List {
  return { pages: placed([{ cursor: undefined, count: frames.length, frames }]), cursor };
}

/** How many frames are known. */
export function lengthOf(list: List): number {
  const last = list.pages.at(-1);
  return last ? last.start + last.count : 0;
}

/** The frame at a place; undefined while its page is not held. */
export function frameAt(list: List, place: number): Frame | undefined {
  const page = list.pages[pageAt(list, place)];
  return page?.frames?.[place - page.start];
}

/** Put the next page below. */
export function withNext(list: List, { frames, cursor }: Answer): List {
  if (list.cursor === null) return list;
  const page = { cursor: list.cursor, count: frames.length, frames };
  return { pages: placed([...list.pages, page]), cursor };
}

/**
 * Put a new first page on top.
 *
 * Frames that are known already are brought up to date where they are. Where the answer and the top
 * have nothing in common, more arrived than it holds: the list begins anew, and what lies between
 * comes with the next pages, so there is never a gap. It also does so before the top grows large.
 */
export function withNewest(list: List, answer: Answer): List {
  const [top] = list.pages;
  const fresh = new Map(answer.frames.map((frame) => [frame.frame_id, frame]));
  const meets = top?.frames?.some((frame) => fresh.has(frame.frame_id)) ?? false;
  if (top === undefined || !meets || top.count > MOST_ON_TOP) return listOf(answer);
  const known = new Set<string>();
  const updated = list.pages.map((page) => {
    for (const frame of page.frames ?? []) known.add(frame.frame_id);
    return { ...page, frames: page.frames?.map((one) => fresh.get(one.frame_id) ?? one) ?? null };
  });
  const arrived = answer.frames.filter((frame) => !known.has(frame.frame_id));
  const frames = [...arrived, ...(updated[0]?.frames ?? [])];
  const pages = [{ cursor: undefined, count: frames.length, frames }, ...updated.slice(1)];
  return { pages: placed(pages), cursor: list.cursor };
}

/** Fill a page that was let go. It may have become shorter, but not longer. */
export function withPage(list: List, cursor: string, found: readonly Frame[]): List {
  const pages = list.pages.map((page) => {
    if (page.cursor !== cursor) return page;
    const frames = found.slice(0, page.count);
    return { ...page, count: frames.length, frames };
  });
  return { ...list, pages: placed(pages) };
}

/** Let go what is far from the frames in sight. */
export function near(list: List, first: number, last: number): List {
  const [from, to] = [pageAt(list, first) - HELD, pageAt(list, last) + HELD];
  const isFar = ({ cursor, frames }: Page, number: number) =>
    cursor !== undefined && (frames?.length ?? 0) > 0 && (number < from || number > to);
  if (!list.pages.some(isFar)) return list;
  const pages = list.pages.map((page, number) =>
    isFar(page, number) ? { ...page, frames: null } : page,
  );
  return { ...list, pages };
}

/** Pages to load again before frames can be seen: their cursors, and how many frames they hold. */
export function lacking(list: List, first: number, last: number): [string, number][] {
  const found: [string, number][] = [];
  for (let number = pageAt(list, first) - 1; number <= pageAt(list, last) + 1; number++) {
    const page = list.pages[number];
    if (page?.cursor !== undefined && page.frames === null) found.push([page.cursor, page.count]);
  }
  return found;
}

/** Number of the page that holds a place. */
function pageAt(list: List, place: number): number {
  let [low, high] = [0, list.pages.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((list.pages[middle]?.start ?? 0) <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}

function placed(pages: readonly Omit<Page, "start">[]): Page[] {
  let start = 0;
  return pages.map((page) => {
    const at = start;
    start += page.count;
    return { ...page, start: at };
  });
}
