import { describe, expect, it } from "vitest";
import { ticksOf, ticksWithin } from "./ticks";

describe("ticksOf", () => {
  it("gives round numbers that enclose the range", () => {
    expect(ticksOf(0, 240_000, 5)).toEqual([0, 50_000, 100_000, 150_000, 200_000, 250_000]);
    expect(ticksOf(0, 1, 4)).toEqual([0, 0.25, 0.5, 0.75, 1]);
    expect(ticksOf(0.1, 0.3, 2)).toEqual([0.1, 0.2, 0.3]);
  });

  it("has two ends even where all points are the same", () => {
    for (const value of [0, 5, -3]) {
      const ticks = ticksOf(value, value, 4);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks[0]).toBeLessThanOrEqual(value);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(value);
    }
  });
});

describe("ticksWithin", () => {
  it("leaves out what lies beyond the ends", () => {
    expect(ticksWithin(3, 97, 5)).toEqual([20, 40, 60, 80]);
    expect(ticksWithin(0, 0.3, 3)).toEqual([0, 0.1, 0.2, 0.3]);
  });
});
