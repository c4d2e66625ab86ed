import { describe, expect, it } from "vitest";
import { figuresOf, withInterval } from "./figures";

describe("figuresOf", () => {
  it("reads what a measured bundle carries", () => {
    const figures = figuresOf({
      mean_ap: 0.7,
      benchmark: {
        name: "bench/test",
        frames: 5000,
        mean_ap: 0.75,
        hard_mean_ap: 0.34,
        ap: [0.7, 0.8],
        ece: [0.01, 0.02],
        pointing: { hits: 0.6, random: 0.09, per_attribute: { hits: [0.5, 0.7] } },
      },
      real: { frames: 51, mean_ap: 0.83, mean_ap_interval: [0.72, 0.91] },
      curves: {
        a: [
          { passes: 1, mean_ap: 0.1 },
          { passes: 2, mean_ap: 0.2 },
        ],
        b: [{ passes: 1 }],
      },
    });
    expect(figures).toMatchObject({ meanAp: 0.75, hard: 0.34, pointing: 0.6, real: 0.83 });
    expect(figures.interval).toEqual([0.72, 0.91]);
    expect(figures.attributes[1]).toEqual({ ap: 0.8, ece: 0.02, hits: 0.7 });
    expect(figures.curves).toEqual([
      {
        name: "a",
        points: [
          { x: 1, y: 0.1 },
          { x: 2, y: 0.2 },
        ],
      },
    ]);
  });

  it("leaves out what is missing or no figure", () => {
    for (const metrics of [{}, { benchmark: null, real: [], curves: "x" }, { mean_ap: "high" }]) {
      const figures = figuresOf(metrics);
      expect(figures.meanAp).toBeUndefined();
      expect([figures.attributes, figures.curves]).toEqual([[], []]);
    }
    expect(figuresOf({ mean_ap: 0.5 }).meanAp).toBe(0.5);
  });
});

describe("withInterval", () => {
  it("has a dash for what was not measured", () => {
    expect(withInterval(undefined)).toBe("–");
    expect(withInterval(0.831, [0.7257, 0.9148])).toBe("0.831 (0.726 – 0.915)");
  });
});
