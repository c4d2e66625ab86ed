import { describe, expect, it } from "vitest";
import { curvesOf, duration, progressOf } from "./progress";

describe("progressOf", () => {
  it("tells stage, percent and time left while a process works on it", () => {
    const progress = {
      stage: "train" as const,
      share: 0.429,
      eta_seconds: 170,
      loss: 0.6,
      mean_ap: null,
    };
    expect(progressOf({ state: "leased", progress })).toBe("training, 42 %, 3 min left");
    expect(progressOf({ state: "leased", progress: null })).toBe("begins");
    expect(progressOf({ state: "cancelled", progress })).toBe("cancelled");
  });
});

describe("duration", () => {
  it("is rounded as people would", () => {
    expect([0.2, 59, 61, 3599, 7500].map(duration)).toEqual([
      "1 s",
      "59 s",
      "1 min",
      "1 h 0 min",
      "2 h 5 min",
    ]);
  });
});

describe("curvesOf", () => {
  it("has a point of mAP only where it was measured", () => {
    const text = '{"passes":8,"loss":0.7,"mean_ap":null}\n{"passes":16,"loss":0.5,"mean_ap":0.4}\n';
    const { loss, meanAp } = curvesOf(text);
    expect(loss.points).toEqual([
      { x: 8, y: 0.7 },
      { x: 16, y: 0.5 },
    ]);
    expect(meanAp.points).toEqual([{ x: 16, y: 0.4 }]);
    expect(curvesOf("").loss.points).toEqual([]);
  });
});
