// One frame: its picture, the map of an attribute on it, and what is known about it.

import { download, getJson, pictureUrl } from "./api.js";
import { stateWord } from "./gallery.js";

const $ = (id) => document.getElementById(id);

export class Viewer {
  constructor(names) {
    this.names = names;
    this.dialog = $("viewer");
    this.frame = null;
    this.shown = null; // {kind: "overlays" | "attention", name}
    this.wanted = null; // aborts what is still loading for an earlier choice
    for (const id of ["colormap", "scale"]) $(id).addEventListener("change", () => this.#draw());
    $("opacity").addEventListener("input", () => this.#mix());
    for (const radio of document.getElementsByName("layer")) radio.addEventListener("change", () => this.#mix());
    for (const button of this.dialog.querySelectorAll("[data-download]")) {
      button.addEventListener("click", () => this.#download(button.dataset.download));
    }
  }

  async open(id) {
    if (!this.dialog.open) this.dialog.showModal();
    this.id = id;
    this.frame = this.annotation = this.shown = null;
    $("viewer-title").textContent = id.slice(0, 12);
    $("viewer-state").textContent = "";
    this.dialog.dataset.state = "";
    for (const part of ["attributes", "attention", "facts"]) $(part).replaceChildren();
    this.#clear();
    await this.reload();
  }

  /** Read everything again: the frame may have been annotated meanwhile. */
  async reload() {
    const id = this.id;
    this.#say("Loading …");
    try {
      const [frame, annotation] = await Promise.all([getJson(`/frames/${id}`), getJson(`/frames/${id}/annotation`)]);
      if (id !== this.id) return;
      Object.assign(this, { frame, annotation });
      $("viewer-title").textContent = frame.filename || id.slice(0, 12);
      $("viewer-state").textContent = stateWord(annotation.state);
      $("viewer-state").dataset.state = this.dialog.dataset.state = annotation.state;
      this.#writeFacts();
      this.#writeAttributes();
      await this.#writeAttention();
      if (annotation.state === "done") {
        this.#say("");
        await this.#draw();
      } else if (annotation.reason) {
        const { title, detail, remedy } = annotation.reason;
        this.#say(`${title}. ${detail} ${remedy}`, true);
        this.#clear();
      } else {
        this.#say("This frame is waiting for a worker; it will appear by itself.");
      }
    } catch (error) {
      if (id === this.id) this.#say(`${error.message} ${error.remedy || ""}`, true);
    }
  }

  #writeAttributes() {
    const sorted = [...this.annotation.attributes].sort((a, b) => b.probability - a.probability);
    if (!this.shown && sorted.length) this.shown = { kind: "overlays", name: sorted[0].id };
    $("attributes").replaceChildren(...sorted.map((attribute) => this.#attributeRow(attribute)));
  }

  #attributeRow({ id, probability, threshold, tag }) {
    const row = this.#choice("overlays", id, this.names.get(id) || id);
    const percent = `${(probability * 100).toFixed(0)} %`;
    row.firstElementChild.insertAdjacentHTML(
      "beforeend",
      `<span class="meter" aria-hidden="true"><span class="fill"></span><span class="mark"></span></span><span class="value">${percent}</span>`,
    );
    row.querySelector(".fill").style.width = `${probability * 100}%`;
    row.querySelector(".mark").style.left = `${threshold * 100}%`;
    row.querySelector(".mark").title = `threshold ${threshold.toFixed(2)}`;
    row.dataset.tag = tag;
    return row;
  }

  async #writeAttention() {
    const { name, version } = this.annotation.model;
    const models = await getJson("/models");
    const model = models.find((known) => known.name === name && known.version === version);
    const maps = this.annotation.state === "done" ? model?.attention_names || [] : [];
    $("attention-section").hidden = !maps.length;
    $("attention").replaceChildren(...maps.map((map) => this.#choice("attention", map, map)));
  }

  #choice(kind, name, label) {
    const row = document.createElement("li");
    const button = document.createElement("button");
    button.innerHTML = '<span class="label"></span>';
    button.firstElementChild.textContent = label;
    button.setAttribute("aria-pressed", this.shown?.kind === kind && this.shown.name === name);
    button.addEventListener("click", () => {
      for (const other of this.dialog.querySelectorAll(".attributes button")) other.setAttribute("aria-pressed", other === button);
      this.shown = { kind, name };
      document.querySelector("[name=layer][value=overlay]").checked = true;
      this.#draw();
    });
    row.append(button);
    return row;
  }

  #writeFacts() {
    const { frame, annotation } = this;
    const share = (value) => (value === null || value === undefined ? null : `${(value * 100).toFixed(1)} %`);
    const spent = Object.values(annotation.timings_ms || {}).reduce((sum, ms) => sum + ms, 0);
    const facts = {
      Sample: frame.sample,
      Scan: frame.scan,
      Proposal: frame.proposal,
      Beamline: frame.beamline,
      Size: frame.shape && `${frame.shape[0]} × ${frame.shape[1]} pixels, ${frame.format}`,
      Masked: share(annotation.mask_fraction),
      Novelty: annotation.novelty === null ? null : `more unusual than ${share(annotation.novelty)} of known frames`,
      Geometry: frame.geometry && `${frame.geometry.distance_m.toPrecision(4)} m, ${(frame.geometry.wavelength_m * 1e10).toPrecision(4)} Å`,
      Model: `${annotation.model.name} ${annotation.model.version}`,
      Time: spent ? `${spent.toFixed(0)} ms` : null,
      Sent: new Date(frame.submitted).toLocaleString(),
      Id: frame.frame_id,
    };
    const lines = Object.entries(facts).filter(([, value]) => value);
    $("facts").replaceChildren(
      ...lines.flatMap(([name, value]) => [
        Object.assign(document.createElement("dt"), { textContent: name }),
        Object.assign(document.createElement("dd"), { textContent: value }),
      ]),
    );
  }

  async #draw() {
    if (this.annotation?.state !== "done") return;
    this.wanted?.abort();
    const { signal } = (this.wanted = new AbortController());
    $("stack").setAttribute("aria-busy", "true");
    const scale = $("scale").value;
    const query = `base=none&opacity=1&colormap=${$("colormap").value}`;
    try {
      const [below, above] = await Promise.all([
        pictureUrl(`/frames/${this.id}/preview.png?scale=${scale}`, signal),
        pictureUrl(`/frames/${this.id}/${this.shown.kind}/${this.shown.name}.png?${query}`, signal),
      ]);
      this.#place($("below"), below, `Frame ${$("viewer-title").textContent}, ${scale} intensity`);
      this.#place($("above"), above, `Where the model saw ${this.names.get(this.shown.name) || this.shown.name}`);
      this.#mix();
      $("stack").setAttribute("aria-busy", "false");
    } catch (error) {
      if (error.name !== "AbortError") this.#say(`${error.message} ${error.remedy || ""}`, true);
    }
  }

  #place(image, url, alt) {
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
    image.alt = alt;
    image.src = url;
  }

  #mix() {
    const overlay = document.querySelector("[name=layer][value=overlay]").checked;
    $("above").style.opacity = overlay ? $("opacity").value : 0;
  }

  #clear() {
    this.wanted?.abort();
    for (const id of ["below", "above"]) $(id).removeAttribute("src");
    $("stack").setAttribute("aria-busy", "false");
  }

  #download(what) {
    const name = (this.frame?.filename || this.id).replace(/\.[^.]*$/, "");
    if (what === "raw") return download(`/frames/${this.id}/raw`, this.frame?.filename || this.id);
    if (what === "map" && this.shown) {
      return download(`/frames/${this.id}/${this.shown.kind}/${this.shown.name}.npy`, `${name}_${this.shown.name}.npy`);
    }
    return download(`/frames/${this.id}/preview.npy`, `${name}_preview.npy`);
  }

  #say(text, failed = false) {
    $("viewer-message").textContent = text;
    $("viewer-message").classList.toggle("error", failed);
  }
}
