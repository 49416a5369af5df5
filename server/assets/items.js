// The items of a table, a page at a time, by prefix.

import { call, tablePath } from "./api.js";
import { h, text } from "./dom.js";
import { plural } from "./format.js";
import { editItem } from "./item.js";
import { elements, members } from "./json.js";
import { toItem } from "./router.js";

const PAGE = 50;
const PAUSE_MS = 200;
const PREVIEW = 240;

/** The items of one table. */
export class Items {
  #table = null;
  #cursors = [null]; // where each page that was seen begins; the last is the shown one
  #next = null;
  #turn = 0;
  #timer = null;

  constructor() {
    this.title = h("h2", { id: "items-title", tabindex: -1 });
    this.prefix = h("input", {
      id: "prefix", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "all keys",
      oninput: () => this.#typed(),
    });
    this.status = h("p", { class: "status", role: "status" });
    this.body = h("tbody");
    this.grid = h("table", { class: "items" },
      h("caption", { class: "unseen" }, "Items in order of their keys"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "key"), h("th", { scope: "col" }, "item"))), this.body);
    this.back = h("button", { type: "button", onclick: () => this.#turnBack() }, "← Previous");
    this.forth = h("button", { type: "button", onclick: () => this.#turnOn() }, "Next →");
    this.some = h("div", {},
      h("div", { class: "items-head" }, this.title,
        h("button", { type: "button", class: "primary", id: "insert", onclick: () => this.#insert() }, "Insert an item")),
      h("form", { class: "inline", role: "search", onsubmit: (event) => { event.preventDefault(); this.reload(); } },
        h("label", { for: "prefix" }, "Keys that begin with"), this.prefix),
      this.status, this.grid, h("div", { class: "pager" }, this.back, this.forth));
    this.none = h("p", { class: "empty" }, "Choose a table to see its items.");
    this.element = h("section", { class: "panel items-panel", "aria-label": "Items" }, this.some, this.none);
  }

  /** Shows a table, or none; true where that is another one than before. */
  show(table) {
    this.some.hidden = table === null;
    this.none.hidden = table !== null;
    if (table === this.#table) return false;
    this.#table = table;
    this.prefix.value = "";
    text(this.title, table ?? "");
    if (table !== null) this.reload();
    return true;
  }

  focus() {
    this.title.focus();
  }

  /** Reads the first page anew. */
  reload() {
    this.#cursors = [null];
    return this.#load();
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.reload(), PAUSE_MS);
  }

  #turnOn() {
    this.#cursors.push(this.#next);
    this.#load();
  }

  #turnBack() {
    this.#cursors.pop();
    this.#load();
  }

  async #load() {
    if (this.#table === null) return;
    this.#turn += 1;
    const turn = this.#turn;
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (this.prefix.value) query.set("prefix", this.prefix.value);
    const cursor = this.#cursors.at(-1);
    if (cursor !== null) query.set("cursor", cursor);
    try {
      const answer = members((await call("GET", `${tablePath(this.#table)}/items?${query}`)).text);
      // An answer to an earlier question may come late: the last question counts.
      if (turn !== this.#turn) return;
      this.#next = answer.cursor ? JSON.parse(answer.cursor) : null;
      this.#draw(elements(answer.items).map(members));
    } catch (failure) {
      if (turn !== this.#turn) return;
      this.#next = null;
      this.#draw([]);
      text(this.status, failure.status === 404 ? `There is no table ${this.#table}.` : failure.message);
    }
  }

  #draw(items) {
    const rows = items.map(({ key, item }) => {
      const name = JSON.parse(key);
      return h("tr", {},
        h("th", { scope: "row" }, h("a", { href: toItem(this.#table, name) }, name)),
        h("td", {}, item.length > PREVIEW ? `${item.slice(0, PREVIEW)}…` : item));
    });
    this.body.replaceChildren(...rows);
    this.grid.hidden = rows.length === 0;
    const page = this.#cursors.length;
    this.back.disabled = page === 1;
    this.forth.disabled = this.#next === null;
    text(this.status, this.#told(rows.length, page));
  }

  #told(rows, page) {
    if (rows === 0) return this.prefix.value ? "No key begins so." : "This table is empty. Insert an item.";
    return `${plural(rows, "item")}, page ${page}${this.#next === null ? ", the last" : ""}`;
  }

  async #insert() {
    if (await editItem(this.#table, null).closed) this.reload();
  }
}
