import { describe, expect, it } from "vitest";
import { extentOf, nearest, pathOf, ticksOf } from "./strip";

const point = (x: number, probability: number) => ({ x, probability, frame_id: `f${x}` });

describe("a strip", () => {
  const line = [point(10, 0), point(20, 1), point(30, 0.5)];

  it("spans all lines, and leaves room around a single x", () => {
    expect(extentOf([line, [point(40, 0)]])).toEqual({ low: 10, high: 40 });
    expect(extentOf([[point(7, 1)]])).toEqual({ low: 6.5, high: 7.5 });
    expect(extentOf([])).toEqual({ low: 0, high: 1 });
  });

  it("has probability 1 at the top", () => {
    expect(pathOf(line, { low: 10, high: 30 }, 200, 50)).toBe("M0.0 50.0L100.0 0.0L200.0 25.0");
  });

  it("finds the nearest point", () => {
    expect(nearest(line, 14.9)?.x).toBe(10);
    expect(nearest(line, 15.1)?.x).toBe(20);
    expect(nearest(line, 99)?.x).toBe(30);
    expect(nearest([], 1)).toBeUndefined();
  });

  it("has round ticks within", () => {
    expect(ticksOf({ low: 3, high: 97 }, 5)).toEqual([20, 40, 60, 80]);
    expect(ticksOf({ low: 0, high: 0.3 }, 3)).toEqual([0, 0.1, 0.2, 0.3]);
  });
});
