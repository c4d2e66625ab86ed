// Sending files: each is one request, its own notice says what became of it.

import { request } from "./api.js";

const PARALLEL = 2;

export async function upload(files, toasts) {
  const waiting = [...files].map((file) => ({ file, toast: addToast(toasts, file.name, "waiting to be sent") }));
  const next = async () => {
    for (let job; (job = waiting.shift()); ) await send(job.file, job.toast);
  };
  await Promise.all(Array.from({ length: PARALLEL }, next));
}

async function send(file, toast) {
  toast.write("sending …");
  try {
    const response = await request(`/frames?filename=${encodeURIComponent(file.name)}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: file,
    });
    const { items } = await response.json();
    const known = items.every((item) => item.duplicate);
    toast.write(known ? "known already" : items.length > 1 ? `${items.length} frames taken` : "taken", "good");
  } catch (error) {
    toast.write(`${error.message} ${error.remedy || ""}`, "bad");
  }
}

function addToast(toasts, name, text) {
  const toast = document.createElement("li");
  const words = document.createElement("span");
  toast.append(Object.assign(document.createElement("strong"), { textContent: name }), words);
  toasts.append(toast);
  const write = (said, kind) => {
    words.textContent = said;
    if (!kind) return;
    toast.dataset.kind = kind;
    setTimeout(() => toast.remove(), kind === "bad" ? 15_000 : 4_000);
  };
  write(text);
  return { write };
}
