import { describe, expect, it } from "vitest";
import {
  type Answer,
  EMPTY,
  type Frame,
  frameAt,
  type List,
  lacking,
  lengthOf,
  listOf,
  near,
  withNewest,
  withNext,
  withPage,
} from "./list";

function frame(id: string, tags: string[] = []): Frame {
  return {
    frame_id: id,
    sha256: id,
    index: null,
    filename: null,
    format: "npy",
    size_bytes: 1,
    submitted: "2026-01-01T00:00:00Z",
    sample: null,
    scan: null,
    frame_number: null,
    technique: null,
    beamline: null,
    proposal: null,
    state: "done",
    tags,
    novelty: null,
  };
}

const answer = (ids: string, cursor: string | null): Answer => ({
  frames: [...ids].map((id) => frame(id)),
  cursor,
});

/** The ids in order; a dot where the frame is not held. */
function ids(list: List): string {
  const all = Array.from({ length: lengthOf(list) }, (_, place) => frameAt(list, place));
  return all.map((one) => one?.frame_id ?? ".").join("");
}

/** So many pages of three frames each. */
function long(pages: number): List {
  let list = listOf(answer("000", "1"));
  for (let number = 1; number < pages; number++) {
    const frames = Array.from({ length: 3 }, (_, place) => frame(`${number}-${place}`));
    list = withNext(list, { frames, cursor: `${number + 1}` });
  }
  return list;
}

describe("a list", () => {
  it("grows page by page to its end", () => {
    const list = withNext(
      withNext(listOf(answer("ab", "1")), answer("c", "2")),
      answer("de", null),
    );
    expect(ids(list)).toBe("abcde");
    expect(withNext(list, answer("x", "3"))).toBe(list);
    expect(frameAt(list, 5)).toBeUndefined();
    expect(lengthOf(EMPTY)).toBe(0);
  });

  it("begins again where another list did", () => {
    expect(ids(withNewest(EMPTY, answer("ab", null)))).toBe("ab");
  });
});

describe("what arrives", () => {
  const list = withNext(listOf(answer("cb", "1")), answer("a", "2"));

  it("comes on top, and what is known is brought up to date", () => {
    const page = { frames: [frame("d"), frame("c", ["ring"]), frame("a", ["halo"])], cursor: "x" };
    const merged = withNewest(list, page);
    expect(ids(merged)).toBe("dcba");
    expect(frameAt(merged, 1)?.tags).toEqual(["ring"]);
    expect(frameAt(merged, 3)?.tags).toEqual(["halo"]);
    expect(merged.cursor).toBe("2");
  });

  it("begins the list anew where more arrived than a page holds, so that no gap is left", () => {
    expect(withNewest(list, answer("gf", "before f"))).toEqual(listOf(answer("gf", "before f")));
  });

  it("begins the list anew before its top grows large", () => {
    const frames = Array.from({ length: 500 }, (_, place) => frame(`${place}`));
    const page = { frames: [frame("new"), frame("0")], cursor: "y" };
    expect(lengthOf(withNewest(listOf({ frames, cursor: "x" }), page))).toBe(2);
  });
});

describe("what is far from sight", () => {
  it("is let go, keeps its place, and is loaded again", () => {
    const whole = long(40);
    const held = near(whole, 60, 70);
    expect(lengthOf(held)).toBe(120);
    expect(frameAt(held, 60)?.frame_id).toBe("20-0");
    expect(frameAt(held, 110)).toBeUndefined();
    expect(frameAt(held, 0)?.frame_id).toBe("0"); // the top stays
    expect(near(held, 60, 70)).toBe(held);
    expect(lacking(held, 60, 70)).toEqual([]);

    expect(lacking(held, 108, 110)).toEqual([
      ["35", 3],
      ["36", 3],
      ["37", 3],
    ]);
    const filled = withPage(held, "36", [frame("x"), frame("y"), frame("z"), frame("next page's")]);
    expect(frameAt(filled, 108)?.frame_id).toBe("x");
    expect(lengthOf(filled)).toBe(120);
    expect(lacking(filled, 108, 110)).toEqual([
      ["35", 3],
      ["37", 3],
    ]);
  });

  it("moves up what follows if it has become shorter", () => {
    const filled = withPage(near(long(40), 0, 1), "36", [frame("x")]);
    expect(lengthOf(filled)).toBe(118);
    expect(frameAt(filled, 108)?.frame_id).toBe("x");
  });
});
