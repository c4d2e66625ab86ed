import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Refusal } from "../api/client";
import { type Edit, openOutbox, type Post } from "./outbox";
import { NOTHING, type Said } from "./saying";

const KEY = "outbox.ada";
const said = (value: Said["value"]): Said => ({ ...NOTHING, value });
const edit = (attribute: string, value: Said["value"], base: Said = NOTHING) => ({
  frame: "f",
  attribute,
  said: said(value),
  base,
  shown: null,
});

/** A gateway in small: labels of one author, a version that each change raises, and an off switch. */
function gateway() {
  const own: Record<string, Said> = {};
  const state = { version: 0, online: true, puts: 0 };
  const post: Post = {
    async read() {
      if (!state.online) throw new Refusal(0, "no answer", "", "");
      return { etag: `${state.version}`, own: { ...own } };
    },
    async put(_frame, edits, etag) {
      if (!state.online) throw new Refusal(0, "no answer", "", "");
      if (etag !== `${state.version}`) throw new Refusal(412, "changed", "", "");
      if (edits.some((one) => one.attribute === "nonsense"))
        throw new Refusal(422, "unknown", "No such attribute.", "Choose another.");
      state.puts += 1;
      for (const one of edits) own[one.attribute] = one.said;
      state.version += 1;
      return { etag: `${state.version}`, own: { ...own } };
    },
  };
  const elsewhere = (attribute: string, value: Said["value"]) => {
    own[attribute] = said(value);
    state.version += 1;
  };
  return { own, state, post, elsewhere };
}

const stored = (): Edit[] => JSON.parse(localStorage.getItem(KEY) ?? "[]");

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
});
afterEach(() => vi.useRealTimers());

describe("outbox", () => {
  it("sends an edit and keeps it until it has arrived", async () => {
    const { own, post } = gateway();
    const outbox = openOutbox(localStorage, KEY, post);
    outbox.add(edit("ring", "present"));
    expect(stored()).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(own.ring?.value).toBe("present");
    expect(stored()).toEqual([]);
    expect(outbox.snapshot()).toEqual({ edits: [], state: "idle" });
  });

  it("makes one request of presses in a row", async () => {
    const { own, state, post } = gateway();
    const outbox = openOutbox(localStorage, KEY, post);
    for (const value of ["present", "absent", "unsure"] as const) outbox.add(edit("ring", value));
    outbox.add(edit("halo", "present"));
    await vi.advanceTimersByTimeAsync(1000);
    expect([own.ring?.value, own.halo?.value, state.puts]).toEqual(["unsure", "present", 1]);
  });

  it("waits while nobody answers, and sends when the connection is back", async () => {
    const { own, state, post } = gateway();
    state.online = false;
    const outbox = openOutbox(localStorage, KEY, post);
    outbox.add(edit("ring", "present"));
    await vi.advanceTimersByTimeAsync(1000);
    expect(outbox.snapshot().state).toBe("waiting");
    expect(stored()).toHaveLength(1);
    state.online = true;
    dispatchEvent(new Event("online"));
    await vi.advanceTimersByTimeAsync(10);
    expect(own.ring?.value).toBe("present");
    expect(stored()).toEqual([]);
  });

  it("sends what an earlier page left", async () => {
    const { own, state, post } = gateway();
    state.online = false;
    openOutbox(localStorage, KEY, post).add(edit("ring", "absent"));
    const next = gateway();
    openOutbox(localStorage, KEY, next.post);
    await vi.advanceTimersByTimeAsync(100);
    expect([own.ring, next.own.ring?.value]).toEqual([undefined, "absent"]);
  });

  it("does not mind what changed for other attributes", async () => {
    const { own, post, elsewhere } = gateway();
    const outbox = openOutbox(localStorage, KEY, post);
    outbox.learn("f", { etag: "0", own: {} });
    elsewhere("halo", "present");
    outbox.add(edit("ring", "present"));
    await vi.advanceTimersByTimeAsync(1000);
    expect([own.ring?.value, own.halo?.value]).toEqual(["present", "present"]);
  });

  it("shows both where the same was said otherwise elsewhere, and lets one choose", async () => {
    const { own, post, elsewhere } = gateway();
    const outbox = openOutbox(localStorage, KEY, post);
    outbox.learn("f", { etag: "0", own: {} });
    elsewhere("ring", "absent");
    elsewhere("halo", "absent");
    outbox.add(edit("ring", "present"));
    outbox.add(edit("halo", "present"));
    await vi.advanceTimersByTimeAsync(1000);
    const [ring, halo] = outbox.snapshot().edits;
    expect([ring?.conflict?.value, halo?.conflict?.value]).toEqual(["absent", "absent"]);
    expect(own.ring?.value).toBe("absent");
    outbox.insist(ring?.id ?? "");
    outbox.discard(halo?.id ?? "");
    await vi.advanceTimersByTimeAsync(1000);
    expect([own.ring?.value, own.halo?.value]).toEqual(["present", "absent"]);
    expect(outbox.snapshot().edits).toEqual([]);
  });

  it("tells what is refused and goes on", async () => {
    const { own, post } = gateway();
    const outbox = openOutbox(localStorage, KEY, post);
    outbox.add(edit("nonsense", "present"));
    await vi.advanceTimersByTimeAsync(1000);
    expect(outbox.snapshot().edits[0]?.refused).toBe("No such attribute. Choose another.");
    outbox.add(edit("ring", "present"));
    await vi.advanceTimersByTimeAsync(1000);
    expect(own.ring?.value).toBe("present");
    expect(stored().map((one) => one.attribute)).toEqual(["nonsense"]);
  });

  it("keeps what was edited while its predecessor was under way", async () => {
    const { own, post } = gateway();
    let let_through = () => {};
    const slow: Post = {
      read: post.read,
      put: async (...parcel) => {
        await new Promise<void>((resolve) => {
          let_through = resolve;
        });
        return post.put(...parcel);
      },
    };
    const outbox = openOutbox(localStorage, KEY, slow);
    outbox.add(edit("ring", "present"));
    await vi.advanceTimersByTimeAsync(300);
    outbox.add(edit("ring", "absent"));
    await vi.advanceTimersByTimeAsync(300);
    let_through();
    await vi.advanceTimersByTimeAsync(300);
    let_through();
    await vi.advanceTimersByTimeAsync(300);
    expect(own.ring?.value).toBe("absent");
    expect(outbox.snapshot().edits).toEqual([]);
  });
});
