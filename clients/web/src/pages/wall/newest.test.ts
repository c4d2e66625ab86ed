import { describe, expect, it } from "vitest";
import { type Frame, type Listed, pageWithFrames, withNewest, withOlder } from "./newest";

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

const ids = (frames: Frame[]) => frames.map((one) => one.frame_id).join("");

describe("withNewest", () => {
  const listed = { frames: [frame("c"), frame("b"), frame("a")], cursor: "older" };

  it("puts what arrived on top and brings what is known up to date", () => {
    const page = { frames: [frame("d"), frame("c", ["ring"]), frame("b")], cursor: "x" };
    const merged = withNewest(listed, page);
    expect(ids(merged.frames)).toBe("dcba");
    expect(merged.frames[1]?.tags).toEqual(["ring"]);
    expect(merged.cursor).toBe("older");
  });

  it("begins anew where more arrived than a page holds, so that no gap is left", () => {
    const page = { frames: [frame("g"), frame("f")], cursor: "before f" };
    expect(withNewest(listed, page)).toEqual(page);
  });
});

describe("withOlder", () => {
  it("leaves out what moved down between two pages", () => {
    const listed = { frames: [frame("c"), frame("b")], cursor: "1" };
    const merged = withOlder(listed, { frames: [frame("b"), frame("a")], cursor: null });
    expect(ids(merged.frames)).toBe("cba");
    expect(merged.cursor).toBeNull();
  });
});

describe("pageWithFrames", () => {
  const pages: Record<string, Listed> = {
    start: { frames: [], cursor: "1" },
    "1": { frames: [], cursor: "2" },
    "2": { frames: [frame("a")], cursor: "3" },
    "3": { frames: [], cursor: null },
  };
  const load = async (cursor = "start") => pages[cursor] ?? { frames: [], cursor: null };

  it("goes on over empty pages while more follow", async () => {
    expect(await pageWithFrames(load)).toBe(pages["2"]);
  });

  it("ends at the last page, empty or not", async () => {
    expect(await pageWithFrames(load, "3")).toBe(pages["3"]);
  });
});
