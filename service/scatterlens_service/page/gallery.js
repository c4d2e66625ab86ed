// The grid of newest frames: loads, merges what is new, and tells which frame was chosen.

import { getJson, pictureUrl } from "./api.js";

const PAGE = 48;
const STATE_WORDS = { queued: "waiting", leased: "working" };

export const stateWord = (state) => STATE_WORDS[state] || state;

export class Gallery {
  constructor(list, names, onOpen) {
    this.list = list;
    this.names = names; // attribute id -> name for people
    this.onOpen = onOpen;
    this.cards = new Map();
    this.filter = new URLSearchParams();
    this.cursor = null;
    this.seen = new IntersectionObserver((entries) => this.#loadVisible(entries), { rootMargin: "300px" });
  }

  get ids() {
    return [...this.list.children].map((card) => card.dataset.frame);
  }

  summary(id) {
    return this.cards.get(id)?.frame;
  }

  /** Start anew, with another filter. */
  async show(filter) {
    this.filter = filter;
    for (const id of this.ids) this.#remove(id);
    await this.refresh();
  }

  /** Fetch the newest frames and bring the grid up to date. */
  async refresh() {
    const filter = this.filter;
    const page = await getJson(`/frames?${this.#query()}`);
    if (filter !== this.filter) return; // another filter was chosen meanwhile
    const before = this.list.firstElementChild;
    if (!before) this.cursor = page.next_cursor;
    for (const frame of page.items) {
      if (this.cards.has(frame.frame_id)) this.#update(frame);
      else this.list.insertBefore(this.#add(frame), before);
    }
  }

  async older() {
    const page = await getJson(`/frames?${this.#query()}&cursor=${encodeURIComponent(this.cursor)}`);
    this.cursor = page.next_cursor;
    for (const frame of page.items) if (!this.cards.has(frame.frame_id)) this.list.append(this.#add(frame));
  }

  #query() {
    const query = new URLSearchParams(this.filter);
    query.set("limit", PAGE);
    return query;
  }

  #add(frame) {
    const item = document.createElement("li");
    item.dataset.frame = frame.frame_id;
    item.innerHTML = `<button class="card"><span class="thumb"><img alt=""></span>
      <span class="name"></span><span class="tags"></span></button>`;
    item.firstElementChild.addEventListener("click", () => this.onOpen(frame.frame_id));
    this.cards.set(frame.frame_id, { item, frame, url: null });
    this.#write(frame.frame_id);
    this.seen.observe(item);
    return item;
  }

  #update(frame) {
    const card = this.cards.get(frame.frame_id);
    const changed = card.frame.state !== frame.state;
    card.frame = frame;
    this.#write(frame.frame_id);
    if (changed) {
      this.seen.unobserve(card.item);
      this.seen.observe(card.item);
    }
  }

  #write(id) {
    const { item, frame } = this.cards.get(id);
    const name = frame.filename || frame.frame_id.slice(0, 12);
    item.dataset.state = frame.state;
    item.querySelector(".name").textContent = frame.index === null ? name : `${name} [${frame.index}]`;
    item.querySelector(".name").title = name;
    const tags = frame.state === "done" ? frame.tags.map((tag) => this.names.get(tag) || tag) : [];
    const words = frame.state === "done" ? tags.slice(0, 3) : [stateWord(frame.state)];
    if (tags.length > 3) words.push(`+${tags.length - 3}`);
    if (frame.state === "done" && !tags.length) words.push("no tags");
    const chips = words.map((word) => Object.assign(document.createElement("span"), { className: "chip", textContent: word }));
    item.querySelector(".tags").replaceChildren(...chips);
  }

  #loadVisible(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = this.cards.get(target.dataset.frame);
      if (isIntersecting && card && !card.url && card.frame.state === "done") this.#load(card);
    }
  }

  async #load(card) {
    card.url = "loading";
    try {
      card.url = await pictureUrl(`/frames/${card.frame.frame_id}/preview.png?size=256`);
      card.item.querySelector("img").src = card.url;
    } catch {
      card.url = null; // tried again when it is scrolled into view again
    }
  }

  #remove(id) {
    const card = this.cards.get(id);
    this.seen.unobserve(card.item);
    if (card.url) URL.revokeObjectURL(card.url);
    card.item.remove();
    this.cards.delete(id);
  }
}
