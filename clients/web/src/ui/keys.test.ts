import { afterEach, describe, expect, it } from "vitest";
import { isShortcut } from "./keys";

function press(selector: string, key: string, init: KeyboardEventInit = {}): boolean {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, ...init });
  let found = false;
  const listen = (heard: KeyboardEvent) => {
    found = isShortcut(heard);
  };
  addEventListener("keydown", listen);
  document.querySelector(selector)?.dispatchEvent(event);
  removeEventListener("keydown", listen);
  return found;
}

afterEach(() => {
  document.body.innerHTML = "";
});

describe("isShortcut", () => {
  it("leaves keys to what is typed into, to dialogs and to the browser", () => {
    document.body.innerHTML = `<p></p><input id="text" /><input id="box" type="checkbox" />
      <textarea></textarea><dialog open><button id="inside"></button></dialog><button id="out"></button>`;
    expect(press("p", "j")).toBe(true);
    expect(press("#box", "j")).toBe(true);
    expect(press("#out", "1")).toBe(true);
    expect(press("#text", "j")).toBe(false);
    expect(press("textarea", "1")).toBe(false);
    expect(press("#inside", "j")).toBe(false);
    expect(press("p", "j", { ctrlKey: true })).toBe(false);
    expect(press("#out", "Enter")).toBe(false);
    expect(press("p", "Enter")).toBe(true);
  });
});
