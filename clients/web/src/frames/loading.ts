/** Asking for frames until there are enough. */

import type { Asked } from "../api/asked";
import { api, dataOf, type Schemas } from "../api/client";
import type { Answer, Frame } from "./list";

/** A frame of the list, to begin beside it: with what follows it, or with what stands before it. */
interface Beside {
  after?: string;
  before?: string;
}

/**
 * Frames from a cursor on: at least so many, where there are, and at most a page more.
 *
 * A page may be short, or empty, though more follow, as the gateway's search has a time limit.
 */
export async function loadFrames(
  asked: Asked & Beside,
  least: number,
  limit: number,
  signal: AbortSignal,
  from?: string,
): Promise<Answer> {
  const frames: Frame[] = [];
  let cursor: string | null | undefined = from;
  do {
    const query = { ...asked, limit, cursor };
    const page: Schemas["FramePage"] = await dataOf(
      api.GET("/api/v1/frames", { params: { query }, signal }),
    );
    frames.push(...page.items);
    cursor = page.next_cursor;
  } while (frames.length < least && cursor !== null);
  return { frames, cursor };
}
