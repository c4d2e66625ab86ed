import { describe, expect, it } from "vitest";
import { EMPTY_DRAFT, toKeyIn } from "./draft";

const ALLOWED = ["frames:write", "results:read", "labels:write"] as const;

describe("toKeyIn", () => {
  it("leaves out what was not filled in", () => {
    expect(toKeyIn({ ...EMPTY_DRAFT, name: " ada ", days: " ", proposal: " " }, ALLOWED)).toEqual({
      name: "ada",
      continues: null,
      role: "scientist",
      scopes: null,
      expires_days: null,
      proposal: null,
      beamline: null,
    });
  });

  it("names the scopes only where some were taken away", () => {
    const draft = { ...EMPTY_DRAFT, name: "ada", without: ["frames:write" as const] };
    expect(toKeyIn(draft, ALLOWED).scopes).toEqual(["results:read", "labels:write"]);
    expect(toKeyIn({ ...draft, days: "2" }, ALLOWED).expires_days).toBe(2);
  });

  it("does not take away a scope that the chosen role has not", () => {
    const draft = { ...EMPTY_DRAFT, name: "ada", without: ["admin" as const] };
    expect(toKeyIn(draft, ALLOWED).scopes).toBeNull();
  });
});
