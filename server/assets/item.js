// One item in a dialog: read, edit, insert, delete. Every change names the version that it is based on
// (If-Match), so that nobody's change is lost: where the stored one has moved on, both are shown.

import { Failure, call, itemPath } from "./api.js";
import { freshId, h, text } from "./dom.js";
import { plural } from "./format.js";
import { fault, members, pretty } from "./json.js";

const STRONG = "?consistency=strong";

/**
 * Opens the item, or the form for a new one where `key` is null.
 * `closed` resolves to whether the table was changed; `close()` closes it.
 */
export function editItem(table, key) {
  const editor = new Editor(table, key);
  return { closed: editor.closed, close: () => editor.dialog.close() };
}

class Editor {
  #changed = false;
  #clean = "";
  #etag = null;
  #warned = false;

  constructor(table, key) {
    this.table = table;
    this.key = key;
    this.#build();
    this.closed = new Promise((resolve) => {
      this.dialog.addEventListener("close", () => {
        this.dialog.remove();
        resolve(this.#changed);
      });
    });
    document.body.append(this.dialog);
    this.dialog.showModal();
    if (key === null) this.#fill("{\n  \n}");
    else this.#load();
    (this.name ?? this.area).focus();
  }

  #build() {
    const id = freshId("item");
    const fresh = this.key === null;
    this.name = fresh
      ? h("input", { id: "item-key", required: true, autocomplete: "off", spellcheck: "false" }) : null;
    this.area = h("textarea", {
      id: "item-text", class: "json", rows: 16, spellcheck: "false", oninput: () => this.#check(),
    });
    this.check = h("p", { class: "status", id: "item-check", role: "status" });
    this.error = h("p", { class: "error", id: "item-error", role: "alert" });
    this.area.setAttribute("aria-describedby", "item-check");
    this.stored = h("pre", { class: "json", tabindex: 0, "aria-label": "The stored version" });
    this.conflict = h("div", { class: "conflict", hidden: true }, h("h3", {}, "Stored now"), this.stored,
      h("button", { type: "button", id: "take-stored", onclick: () => this.#take() }, "Take the stored version"));
    this.save = h("button", { type: "submit", class: "primary", id: "save" }, fresh ? "Insert" : "Save");
    this.remove = h("button", { type: "button", class: "danger", id: "delete", hidden: fresh, onclick: () => this.#delete() },
      "Delete");
    this.dialog = h("dialog", {
      class: "item", "aria-labelledby": id,
      oncancel: (event) => this.#cancel(event),
      onkeydown: (event) => {
        if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
      },
    }, this.#form(id));
  }

  #form(id) {
    this.form = h("form", { onsubmit: (event) => { event.preventDefault(); this.#save(); } },
      h("h2", { id }, this.key === null ? `New item in ${this.table}` : this.key),
      this.name ? [h("label", { for: "item-key" }, "Key"), this.name] : h("p", { class: "card-facts" }, `in ${this.table}`),
      h("div", { class: "versions" },
        h("div", {}, h("label", { for: "item-text" }, "Item (a JSON object)"), this.area), this.conflict),
      this.check, this.error,
      h("div", { class: "actions" }, this.remove, h("span", { class: "spacer" }),
        h("button", { type: "button", onclick: () => this.#format() }, "Format"),
        h("button", { type: "button", id: "close", onclick: () => this.#leave() }, "Close"), this.save));
    return this.form;
  }

  #path() {
    return itemPath(this.table, this.key ?? this.name.value);
  }

  async #load() {
    try {
      const stored = await this.#stored();
      if (stored === null) throw new Failure(404, `There is no item ${this.key} (any more).`);
      this.#etag = stored.etag;
      this.#fill(stored.text);
    } catch (failure) {
      text(this.error, failure.message);
      this.save.disabled = true;
      this.remove.disabled = true;
    }
  }

  /** What is stored now, or null where nothing is. */
  async #stored() {
    try {
      const { etag, text: answer } = await call("GET", this.#path() + STRONG);
      return { etag, text: pretty(members(answer).item) };
    } catch (failure) {
      if (failure.status === 404) return null;
      throw failure;
    }
  }

  #fill(content) {
    this.area.value = content;
    this.#clean = content;
    this.area.setSelectionRange(4, 4);
    this.#check();
  }

  #check() {
    this.#warned = false;
    const wrong = fault(this.area.value);
    this.area.setAttribute("aria-invalid", String(wrong !== null));
    const size = new TextEncoder().encode(this.area.value).length;
    text(this.check, wrong ?? `A JSON object of ${plural(size, "byte")}. Ctrl+Enter saves.`);
    this.check.classList.toggle("error", wrong !== null);
    return wrong === null;
  }

  #format() {
    if (this.#check()) this.area.value = pretty(this.area.value);
  }

  async #save() {
    if (!this.#check()) {
      this.area.focus();
      return;
    }
    const headers = this.#etag === null ? { "If-None-Match": "*" } : { "If-Match": this.#etag };
    await this.#change("PUT", { headers, body: this.area.value });
  }

  #delete() {
    return this.#change("DELETE", { headers: { "If-Match": this.#etag ?? "*" } });
  }

  async #change(method, options) {
    text(this.error, "");
    this.save.disabled = true;
    try {
      await call(method, this.#path() + STRONG, options);
      this.#changed = true;
      this.dialog.close();
    } catch (failure) {
      if (failure.status === 412) await this.#showConflict();
      else text(this.error, failure.message);
    } finally {
      this.save.disabled = false;
    }
  }

  async #showConflict() {
    const stored = await this.#stored().catch((failure) => failure);
    if (stored instanceof Error) {
      text(this.error, stored.message);
      return;
    }
    this.#changed = true; // somebody did
    this.#etag = stored?.etag ?? null;
    this.remove.disabled = stored === null;
    this.conflict.hidden = stored === null;
    this.dialog.classList.toggle("wide", stored !== null);
    if (stored === null) {
      text(this.error, "Somebody deleted this item in the meantime. Insert stores your version again.");
      text(this.save, "Insert");
      return;
    }
    const yours = new Set(this.area.value.split("\n"));
    this.stored.replaceChildren(...stored.text.split("\n").map((line) =>
      h("span", { class: yours.has(line) ? null : "differs" }, `${line}\n`)));
    this.theirs = stored.text;
    text(this.error, this.name && !this.name.disabled
      ? "There is an item with this key already; it is shown beside yours."
      : "Somebody changed this item in the meantime; both versions are shown.");
    if (this.name) this.name.disabled = true;
    text(this.save, "Save mine over it");
  }

  #take() {
    this.#fill(this.theirs);
    this.conflict.hidden = true;
    this.dialog.classList.remove("wide");
    text(this.error, "");
    text(this.save, "Save");
    this.area.focus();
  }

  #cancel(event) {
    if (!this.#mayLeave()) event.preventDefault();
  }

  #leave() {
    if (this.#mayLeave()) this.dialog.close();
  }

  /** Changes are given up only at the second attempt. */
  #mayLeave() {
    if (this.#warned || this.area.value === this.#clean) return true;
    this.#warned = true;
    text(this.error, "Your changes are not saved. Close once more to give them up.");
    return false;
  }
}
