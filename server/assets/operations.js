// Operations by name: their order, colour, words, and the table of current figures.

import { h, text } from "./dom.js";
import { compact, milliseconds } from "./format.js";

const ORDER = [
  "put_item", "get_item", "delete_item", "scan_items", "batch",
  "table_count", "list_tables", "create_table", "delete_table", "other",
];

/** The names in a fixed order, so that colours and rows stay where they are. */
export function inOrder(names) {
  const rank = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return [...names].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** The class that colours an operation's line. */
export const style = (name) => `series-${ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length - 1}`;

/** `put_item` as people say it. */
export const label = (name) => name.replaceAll("_", " ");

const COLUMNS = [
  ["rate", "per s", compact], ["error_rate", "errors/s", compact], ["p50_ms", "p50", milliseconds],
  ["p95_ms", "p95", milliseconds], ["p99_ms", "p99", milliseconds], ["max_ms", "max", milliseconds],
];

/** The table of current figures by operation. */
export class OperationTable {
  #rows = new Map();

  constructor() {
    this.body = h("tbody");
    this.empty = h("p", { class: "empty" }, "No request yet. The first one appears here within a second.");
    this.table = h("table", { class: "figures" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "operation"),
        COLUMNS.map(([, name]) => h("th", { scope: "col" }, name)))),
      this.body);
    this.element = h("div", { class: "panel" },
      h("h3", {}, "Operations ", h("small", {}, "the last second")), this.empty,
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Operations in the last second" },
        this.table));
  }

  update(operations) {
    this.empty.hidden = Object.keys(operations).length > 0;
    this.table.hidden = !this.empty.hidden;
    for (const name of inOrder(Object.keys(operations))) {
      if (!this.#rows.has(name)) this.#add(name);
      const operation = operations[name];
      const idle = operation.rate === 0;
      this.#rows.get(name).forEach((node, at) => {
        const [key, , format] = COLUMNS[at];
        text(node, idle && key.endsWith("_ms") ? "–" : format(operation[key]));
      });
    }
  }

  #add(name) {
    const cells = COLUMNS.map(() => h("td"));
    const row = h("tr", {}, h("th", { scope: "row" }, h("i", { class: `swatch ${style(name)}` }), label(name)), cells);
    row.dataset.operation = name;
    this.#rows.set(name, cells);
    const order = inOrder(this.#rows.keys());
    const next = this.body.querySelector(`[data-operation="${CSS.escape(order[order.indexOf(name) + 1] ?? "")}"]`);
    this.body.insertBefore(row, next);
  }
}
