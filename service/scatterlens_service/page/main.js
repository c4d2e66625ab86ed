// Starts the page and ties its parts together.

import { follow, getJson, hasKey, setKey, takeKeyFromLink } from "./api.js";
import { Gallery } from "./gallery.js";
import { upload } from "./upload.js";
import { Viewer } from "./viewer.js";

const $ = (id) => document.getElementById(id);
const STATUS_WORDS = { live: "live", waiting: "reconnecting …", locked: "no key" };
const QUIET_MS = 400;

const names = new Map();
const gallery = new Gallery($("frames"), names, openFrame);
const viewer = new Viewer(names);
let refreshing = null;

function openFrame(id) {
  if (location.hash === `#frame=${id}`) return viewer.open(id);
  location.hash = `frame=${id}`;
}

function showHash() {
  const id = new URLSearchParams(location.hash.slice(1)).get("frame");
  if (id) viewer.open(id);
  else if (viewer.dialog.open) viewer.dialog.close();
}

function step(by) {
  const ids = gallery.ids;
  const to = ids[ids.indexOf(viewer.id) + by];
  if (to) openFrame(to);
}

function setStatus(state) {
  $("status").dataset.state = state;
  $("status").textContent = STATUS_WORDS[state];
  if (state === "locked") showOnly("locked");
}

/** Show one notice, or the gallery where none is named. */
function showOnly(notice) {
  for (const id of ["locked", "empty", "failure"]) $(id).hidden = id !== notice;
  $("gallery").hidden = Boolean(notice);
  $("tools").hidden = notice === "locked";
}

async function load(action) {
  $("gallery").setAttribute("aria-busy", "true");
  try {
    await action();
    const filtered = [...gallery.filter].length > 0;
    showOnly(gallery.ids.length || filtered ? null : "empty");
    $("frames").dataset.empty = !gallery.ids.length;
    $("more").hidden = !gallery.cursor;
  } catch (error) {
    if (error.status === 401 || error.status === 403) {
      $("key-error").textContent = hasKey() ? error.message : "";
      setStatus("locked");
    } else if (!gallery.ids.length) {
      $("failure-title").textContent = error.title || "Something failed";
      $("failure-detail").textContent = `${error.message} ${error.remedy || ""}`;
      showOnly("failure");
    }
  }
  $("gallery").setAttribute("aria-busy", "false");
}

function onEvent(event) {
  if (event.frame_id === viewer.id && viewer.dialog.open && event.kind !== "submitted") viewer.reload();
  // Many frames may arrive at once: one look at the newest serves them all.
  refreshing ??= setTimeout(() => {
    refreshing = null;
    load(() => gallery.refresh());
  }, QUIET_MS);
}

function chosenFilter() {
  const filter = new URLSearchParams();
  if ($("tag-filter").value) filter.set("tag", $("tag-filter").value);
  if ($("state-filter").value) filter.set("state", $("state-filter").value);
  return filter;
}

async function start() {
  if (!hasKey()) {
    setStatus("locked");
    return;
  }
  await load(async () => {
    const attributes = await getJson("/attributes");
    $("tag-filter").length = 1;
    for (const { id, name } of attributes) {
      names.set(id, name);
      $("tag-filter").add(new Option(name, id));
    }
    await gallery.show(chosenFilter());
  });
  if (!$("locked").hidden) return;
  showHash();
  follow(onEvent, setStatus);
}

function addDropping() {
  let depth = 0; // enter and leave also fire for every child
  const show = (by) => ($("drop").hidden = (depth += by) <= 0);
  const hasFiles = (event) => event.dataTransfer.types.includes("Files");
  addEventListener("dragenter", (event) => hasFiles(event) && show(1));
  addEventListener("dragleave", (event) => hasFiles(event) && show(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    show(-depth);
    upload(event.dataTransfer.files, $("toasts"));
  });
}

$("upload").addEventListener("change", (event) => {
  upload(event.target.files, $("toasts"));
  event.target.value = "";
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setKey($("key").value);
  start();
});
for (const id of ["tag-filter", "state-filter"]) {
  $(id).addEventListener("change", () => load(() => gallery.show(chosenFilter())));
}
$("more").addEventListener("click", () => load(() => gallery.older()));
$("retry").addEventListener("click", () => load(() => gallery.refresh()));
$("close").addEventListener("click", () => viewer.dialog.close());
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
viewer.dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname));
viewer.dialog.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select")) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
addEventListener("hashchange", showHash);
addDropping();
takeKeyFromLink();
start();
