import { describe, expect, it } from "vitest";
import {
  confirmations,
  contradicts,
  isSame,
  NOTHING,
  nextValue,
  type Said,
  withValue,
} from "./saying";

const said = (value: Said["value"], more: Partial<Said> = {}): Said => ({
  ...NOTHING,
  value,
  ...more,
});
const answer = (id: string, tag: boolean) => ({
  id,
  tag,
  probability: tag ? 0.9 : 0.1,
  threshold: 0.5,
});

describe("nextValue", () => {
  it("goes round in four presses", () => {
    expect(nextValue(null)).toBe("present");
    expect(nextValue("present")).toBe("absent");
    expect(nextValue("absent")).toBe("unsure");
    expect(nextValue("unsure")).toBeNull();
  });
});

describe("withValue", () => {
  const placed = said("present", {
    region: [
      [1, 2],
      [3, 4],
    ],
    note: "faint",
  });

  it("keeps the note, and no place of what is absent", () => {
    expect(withValue(placed, "absent")).toEqual(said("absent", { note: "faint" }));
    expect(withValue(placed, "unsure").region).toEqual(placed.region);
  });

  it("leaves nothing of what is withdrawn: the gateway refuses a place without a value", () => {
    expect(withValue(placed, null)).toEqual(NOTHING);
  });
});

describe("confirmations", () => {
  it("says what the model says of all that is not judged, and changes no judgement", () => {
    const own = { ring: said("absent"), halo: said(null) };
    const answers = [answer("ring", true), answer("halo", true), answer("spotted", false)];
    expect(confirmations(answers, own)).toEqual({ halo: said("present"), spotted: said("absent") });
  });
});

describe("contradicts", () => {
  it("is told only of those who are sure", () => {
    expect(contradicts(said("absent"), answer("ring", true))).toBe(true);
    expect(contradicts(said("present"), answer("ring", true))).toBe(false);
    expect(contradicts(said("unsure"), answer("ring", true))).toBe(false);
    expect(contradicts(said("present"), undefined)).toBe(false);
  });
});

describe("isSame", () => {
  it("takes an empty note for none and looks at the place", () => {
    expect(isSame(said("present", { note: "" }), said("present"))).toBe(true);
    expect(
      isSame(
        said("present", {
          region: [
            [0, 0],
            [1, 1],
          ],
        }),
        said("present"),
      ),
    ).toBe(false);
  });
});
