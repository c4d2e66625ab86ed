/** The newest frames, kept up to date as they arrive. */

import type { Schemas } from "../../api/client";

export type Frame = Schemas["FrameSummary"];

export interface Listed {
  frames: Frame[];
  /** Where the next older page begins; null at the oldest. */
  cursor: string | null;
}

/** The first page that holds a frame: one may be empty though more follow, as a search has an end. */
export async function pageWithFrames(
  load: (cursor?: string) => Promise<Listed>,
  cursor?: string,
): Promise<Listed> {
  let page = await load(cursor);
  while (page.frames.length === 0 && page.cursor !== null) page = await load(page.cursor);
  return page;
}

/**
 * Put a new first page on top of what is listed.
 *
 * Frames that are known already are brought up to date where they are. Where the page and the list
 * have nothing in common, more arrived than fits on a page: the list begins anew, and what lies
 * between comes with the older pages, so there is never a gap.
 */
export function withNewest(listed: Listed, page: Listed): Listed {
  const fresh = new Map(page.frames.map((frame) => [frame.frame_id, frame]));
  const meets = listed.frames.some((frame) => fresh.has(frame.frame_id));
  if (!meets) return page;
  const known = new Set(listed.frames.map((frame) => frame.frame_id));
  const arrived = page.frames.filter((frame) => !known.has(frame.frame_id));
  const rest = listed.frames.map((frame) => fresh.get(frame.frame_id) ?? frame);
  return { frames: [...arrived, ...rest], cursor: listed.cursor };
}

/** Put an older page below what is listed. */
export function withOlder(listed: Listed, page: Listed): Listed {
  const known = new Set(listed.frames.map((frame) => frame.frame_id));
  const older = page.frames.filter((frame) => !known.has(frame.frame_id));
  return { frames: [...listed.frames, ...older], cursor: page.cursor };
}
