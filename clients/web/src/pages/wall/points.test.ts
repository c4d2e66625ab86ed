import { describe, expect, it } from "vitest";
import { extentOf, nearest, pathOf } from "./points";

describe("a strip", () => {
  it("leaves room around a single value", () => {
    expect(extentOf([10, 20, 40])).toEqual({ low: 10, high: 40 });
    expect(extentOf([7])).toEqual({ low: 6.5, high: 7.5 });
    expect(extentOf([])).toEqual({ low: 0, high: 1 });
  });

  it("has probability 1 at the top", () => {
    expect(pathOf([10, 20, 30], [0, 1, 0.5], 200, 50)).toBe("M0.0 50.0L100.0 0.0L200.0 25.0");
  });

  it("finds the nearest value", () => {
    expect(nearest([10, 20, 30], 14.9)).toBe(0);
    expect(nearest([10, 20, 30], 15.1)).toBe(1);
    expect(nearest([10, 20, 30], 99)).toBe(2);
    expect(nearest([], 1)).toBe(-1);
  });
});
