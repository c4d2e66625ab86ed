// Talking to the service: the key, requests, pictures, and the stream of events.

const ROOT = "/api/v1";
const STORED_KEY = "scatterlens.key";

/** A refusal by the service, as its problem document tells it. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title);
    this.status = status;
    this.title = problem.title;
    this.remedy = problem.remedy || "";
  }
}

/** Take the key out of `/#key=…`: a fragment never reaches a server or its logs. */
export function takeKeyFromLink() {
  const parts = new URLSearchParams(location.hash.slice(1));
  if (!parts.has("key")) return;
  setKey(parts.get("key"));
  parts.delete("key");
  history.replaceState(null, "", parts.size ? `#${parts}` : location.pathname);
}

export const setKey = (key) => localStorage.setItem(STORED_KEY, key.trim());
export const hasKey = () => Boolean(localStorage.getItem(STORED_KEY));

export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(ROOT + path, {
      ...options,
      headers: { Authorization: `Bearer ${localStorage.getItem(STORED_KEY) || ""}`, ...options.headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, {
      title: "The service does not answer",
      detail: "The service does not answer.",
      remedy: "Check that it is running.",
    });
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ title: response.statusText }));
  throw new Refusal(response.status, problem);
}

export const getJson = async (path, options) => (await request(path, options)).json();

/** Address of a picture for an `<img>`; images cannot send the key themselves. */
export async function pictureUrl(path, signal) {
  const response = await request(path, { signal });
  return URL.createObjectURL(await response.blob());
}

export async function download(path, filename) {
  const url = await pictureUrl(path);
  const link = Object.assign(document.createElement("a"), { href: url, download: filename });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Follow the event stream for ever; `onState` hears whether it is connected. */
export async function follow(onEvent, onState) {
  let last = "";
  let pause = 500;
  for (;;) {
    try {
      const headers = last ? { "Last-Event-ID": last } : {};
      const response = await request("/events", { headers });
      onState("live");
      pause = 500;
      for await (const event of readEvents(response.body)) {
        if (event.id) last = event.id;
        if (event.data) onEvent(JSON.parse(event.data));
      }
    } catch (error) {
      if (error.status === 401 || error.status === 403) return onState("locked");
    }
    onState("waiting");
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, 8000);
  }
}

async function* readEvents(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name) =>
        lines.filter((l) => l.startsWith(name + ":")).map((l) => l.slice(name.length + 1).trim()).join("\n");
      yield { id: field("id"), data: field("data") };
    }
  }
}
