import { describe, expect, it } from "vitest";
import { ago, bytes, duration, inOrder, keyState } from "./words";

const NOW = Date.parse("2026-01-10T00:00:00Z");

function key(id: string, more: { expires?: string; revoked?: string; created?: string } = {}) {
  return {
    id,
    name: id,
    person: "k1",
    role: "viewer" as const,
    scopes: [],
    created: "2026-01-01T00:00:00Z",
    ...more,
  };
}

describe("duration", () => {
  it("keeps two figures or so, in the unit that one would say", () => {
    const spans = [0.04, 9.94, 61, 119, 3600, 6001, 86_400, 172_800];
    expect(spans.map(duration)).toEqual([
      "0.0 s",
      "9.9 s",
      "61 s",
      "2 min",
      "60 min",
      "2 h",
      "24 h",
      "2 d",
    ]);
  });
});

describe("bytes", () => {
  it("changes the unit where the figure would grow a fourth digit", () => {
    expect([0, 999, 1000, 99_940, 123_456_789, 5e12, 1e19].map(bytes)).toEqual([
      "0 B",
      "999 B",
      "1.0 kB",
      "99.9 kB",
      "123 MB",
      "5.0 TB",
      "10000 PB",
    ]);
  });
});

describe("ago", () => {
  it("does not count seconds, nor go below zero where two clocks differ", () => {
    expect(ago("2026-01-10T00:00:20Z", NOW)).toBe("just now");
    expect(ago("2026-01-09T23:30:00Z", NOW)).toBe("30 min ago");
  });
});

describe("keyState", () => {
  it("tells what a key still opens", () => {
    expect(keyState(key("a"), NOW)).toBe("valid");
    expect(keyState(key("a", { expires: "2026-03-01T00:00:00Z" }), NOW)).toBe("valid");
    expect(keyState(key("a", { expires: "2026-01-12T00:00:00Z" }), NOW)).toBe("ends soon");
    expect(keyState(key("a", { expires: "2026-01-10T00:00:00Z" }), NOW)).toBe("expired");
  });

  it("calls a revoked key revoked, whenever it would have ended", () => {
    const revoked = key("a", { revoked: "2026-01-02T00:00:00Z", expires: "2026-01-03T00:00:00Z" });
    expect(keyState(revoked, NOW)).toBe("revoked");
  });
});

describe("inOrder", () => {
  it("puts keys that open something first, the newest of each first", () => {
    const keys = [
      key("old"),
      key("revoked", { revoked: "2026-01-09T00:00:00Z", created: "2026-01-08T00:00:00Z" }),
      key("new", { created: "2026-01-07T00:00:00Z" }),
      key("expired", { expires: "2026-01-02T00:00:00Z" }),
    ];
    const before = keys.map((one) => one.id);
    expect(inOrder(keys, NOW).map((one) => one.id)).toEqual(["new", "old", "revoked", "expired"]);
    expect(keys.map((one) => one.id)).toEqual(before);
  });
});
