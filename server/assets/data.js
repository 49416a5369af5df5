// The data view: tables on the left, the items of one on the right, an item in a dialog.

import { editItem } from "./item.js";
import { Items } from "./items.js";
import { go, toTable } from "./router.js";
import { Tables } from "./tables.js";

/** The data view in `element`. */
export class Data {
  #open = null; // the editor, and which item it shows

  constructor(element) {
    this.tables = new Tables(() => this.items.reload());
    this.items = new Items();
    element.append(this.tables.element, this.items.element);
  }

  /** Shows what the address names; moves the focus there where the user went there. */
  show({ table, key }, byUser) {
    this.tables.show(table);
    const moved = this.items.show(table);
    if (byUser && moved && !key) this.items.focus();
    if (this.#open && (this.#open.table !== table || this.#open.key !== key)) this.#open.close();
    if (key && !this.#open) this.#edit(table, key);
  }

  /** The live counts of a snapshot. */
  counts(tables) {
    this.tables.counts(tables);
  }

  #edit(table, key) {
    const editor = editItem(table, key);
    this.#open = { table, key, close: editor.close };
    editor.closed.then((changed) => {
      this.#open = null;
      if (location.hash.startsWith(`${toTable(table)}/`)) go(toTable(table));
      if (changed) this.items.reload();
    });
  }
}
