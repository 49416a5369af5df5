// The list of tables: create, choose, drop.

import { call, tablePath } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, text } from "./dom.js";
import { count } from "./format.js";
import { go, toTable } from "./router.js";

/** The list of tables. `changed` is called after a table came or went. */
export class Tables {
  #names = null;
  #rows = new Map();
  #selected = null;
  #loading = false;

  constructor(changed) {
    this.changed = changed;
    this.field = h("input", {
      id: "new-table", name: "name", required: true, autocomplete: "off", spellcheck: "false",
      placeholder: "users", "aria-describedby": "new-table-error",
    });
    this.error = h("p", { class: "error", id: "new-table-error", role: "alert" });
    this.list = h("ul", { class: "tables", id: "tables" });
    this.empty = h("p", { class: "empty" }, "Loading…");
    this.element = h("section", { class: "panel tables-panel", "aria-labelledby": "tables-title" },
      h("h2", { id: "tables-title" }, "Tables"), this.empty, this.list,
      h("form", { class: "inline", onsubmit: (event) => this.#create(event) },
        h("label", { for: "new-table" }, "New table"),
        h("div", { class: "row" }, this.field, h("button", { type: "submit", class: "primary" }, "Create"))),
      this.error);
  }

  /** Marks the chosen table, and loads the list where that has not happened yet. */
  show(selected) {
    this.#selected = selected;
    this.#mark();
    if (this.#names === null) this.load();
  }

  /** Takes live counts; loads the list anew where tables came or went. */
  counts(tables) {
    const names = tables.map((table) => table.name).sort().join("\n");
    if (this.#names !== null && names !== this.#names) this.load();
    for (const { name, items } of tables) {
      const row = this.#rows.get(name);
      if (row) text(row.count, count(items));
    }
  }

  async load() {
    if (this.#loading) return;
    this.#loading = true;
    try {
      const { tables } = JSON.parse((await call("GET", "/api/v1/tables")).text);
      tables.sort((a, b) => a.name.localeCompare(b.name));
      this.#names = tables.map((table) => table.name).sort().join("\n");
      this.#rows = new Map(tables.map((table) => [table.name, this.#row(table)]));
      this.list.replaceChildren(...[...this.#rows.values()].map((row) => row.element));
      text(this.empty, "No table yet. Create the first one:");
      this.empty.hidden = tables.length > 0;
      this.#mark();
    } catch (failure) {
      this.empty.hidden = false;
      text(this.empty, failure.message);
    } finally {
      this.#loading = false;
    }
  }

  #row({ name, created_at: created, item_count: items }) {
    const number = h("span", { class: "count" }, count(items));
    const made = new Date(created);
    const link = h("a", {
      href: toTable(name), title: Number.isNaN(made.getTime()) ? null : `made ${made.toLocaleString()}`,
    }, name);
    const drop = h("button", {
      type: "button", class: "quiet", "aria-label": `Drop ${name}`, onclick: () => this.#drop(name),
    }, "Drop");
    return { element: h("li", {}, link, number, drop), link, count: number };
  }

  #mark() {
    for (const [name, { link }] of this.#rows) {
      if (name === this.#selected) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  async #create(event) {
    event.preventDefault();
    const name = this.field.value.trim();
    text(this.error, "");
    try {
      await call("POST", "/api/v1/tables", { body: JSON.stringify({ name }) });
      this.field.value = "";
      await this.load();
      go(toTable(name));
    } catch (failure) {
      text(this.error, failure.message);
    }
  }

  async #drop(name) {
    const field = h("input", { id: "drop-name", autocomplete: "off", spellcheck: "false", required: true });
    const dropped = await openDialog({
      title: `Drop ${name}?`,
      body: [
        h("p", {}, "Every item in it is deleted. This cannot be undone."),
        h("label", { for: "drop-name" }, "Type the table’s name to go on"), field,
      ],
      action: "Drop the table",
      danger: true,
      submit: async () => {
        if (field.value !== name) throw new Error(`That is not the name. Type ${name} exactly.`);
        await call("DELETE", tablePath(name));
        return true;
      },
    });
    if (!dropped) return;
    await this.load();
    if (this.#selected === name) go("#/data");
    else this.changed();
  }
}
