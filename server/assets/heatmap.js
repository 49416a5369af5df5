// A table's trees as a grid: a column a partition; rows for the drawing, the tree's lock, each level from the
// root to the leaves, and splits. It is an HTML table, so that what the colours say can be read and heard.

import { attribute, h, s, text } from "./dom.js";
import { cell, compact, count, percent } from "./format.js";

// Milliseconds waited a second, all threads together: decades, because a queue is a thousand times a collision.
const STEPS = [0.05, 1, 10, 100, 1_000, 10_000];

/** The shade of a wait, 0 (none) to 6. */
export const shade = (ms) => STEPS.filter((step) => ms >= step).length;

/** The words of the legend, by shade. */
export const LEGEND = ["none", "<1 ms", "<10", "<100", "<1 s", "<10 s", "more"];

/** The name of a level in a tree of `levels` levels; 0 is the leaves. */
export function levelName(level, levels) {
  if (level === 0) return levels === 1 ? "root = leaf" : "leaves";
  return level === levels - 1 ? "root" : `level ${level}`;
}

/** The grid of one table. `say` is told in words what the pointer or the focus is on, or "" for nothing. */
export class Heatmap {
  #shape = "";
  #cells = []; // rows of {node, describe}
  #at = [0, 0];

  constructor(table, say) {
    this.table = table;
    this.say = say;
    this.element = h("table", {
      class: "heat", role: "grid", "aria-label": `Waits in the trees of ${table}, in milliseconds a second`,
      onkeydown: (event) => this.#key(event),
    });
  }

  update({ partitions }) {
    const levels = Math.max(1, ...partitions.map((partition) => partition.levels.length));
    const shape = `${partitions.length}/${levels}`;
    if (shape !== this.#shape) this.#build(partitions.length, levels);
    this.#shape = shape;
    partitions.forEach((partition, column) => {
      drawTree(this.drawings[column], partition.levels, levels);
      this.#heat(0, column, partition.lock_wait_ms, "tree lock",
        `${compact(partition.lock_wait_ms)} ms/s waiting for the tree's lock`);
      for (let level = levels - 1; level >= 0; level -= 1) this.#level(partition, level, levels, column);
      const splits = this.splits[column];
      text(splits, cell(partition.split_rate));
      splits.classList.toggle("active", partition.split_rate > 0);
    });
  }

  #level(partition, level, levels, column) {
    const row = levels - level;
    const found = partition.levels[level];
    const name = levelName(level, levels);
    if (!found) {
      this.#heat(row, column, null, name, "this tree is not that high");
      return;
    }
    this.#heat(row, column, found.latch_wait_ms, name,
      `${compact(found.latch_wait_ms)} ms/s in ${compact(found.latch_waits)} waits/s for latches, `
      + `${compact(found.restarts)} restarts/s, ${count(found.nodes)} nodes, ${percent(found.fill)} full`);
  }

  #heat(row, column, ms, name, words) {
    const { node } = this.#cells[row][column];
    text(node, ms === null ? "" : cell(ms));
    attribute(node, "class", ms === null ? "absent" : `heat-${shade(ms)}`);
    const said = `partition ${column}, ${name}: ${words}`;
    attribute(node, "aria-label", said);
    if (node === document.activeElement || node.matches(":hover")) this.say(said);
  }

  #build(partitions, levels) {
    const focused = this.element.contains(document.activeElement);
    const columns = Array.from({ length: partitions }, (_, at) => at);
    this.drawings = columns.map(() => s("svg", { viewBox: `0 0 40 ${levels * 7}`, "aria-hidden": "true" }));
    this.splits = columns.map(() => h("td", { class: "splits" }));
    const names = ["lock", ...columnsDown(levels).map((level) => levelName(level, levels))];
    this.#cells = names.map((_, row) => columns.map((column) => ({ node: this.#cell(row, column) })));
    this.element.replaceChildren(
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("abbr", { title: "partition" }, "part.")),
        columns.map((column) => h("th", { scope: "col" }, String(column))))),
      h("tbody", {},
        h("tr", { class: "shapes", "aria-hidden": "true" }, h("th", {}, "shape"),
          this.drawings.map((drawing) => h("td", {}, drawing))),
        names.map((name, row) => h("tr", { class: row === 0 ? "lock" : "level" }, h("th", { scope: "row" }, name),
          this.#cells[row].map(({ node }) => node))),
        h("tr", {}, h("th", { scope: "row" }, "splits/s"), this.splits)));
    this.#at = [Math.min(this.#at[0], names.length - 1), Math.min(this.#at[1], partitions - 1)];
    this.#enter(this.#at, focused);
  }

  #cell(row, column) {
    const node = h("td", {
      tabindex: -1, role: "gridcell",
      onfocus: () => this.say(node.getAttribute("aria-label")),
      onblur: () => this.say(""),
      onpointerenter: () => this.say(node.getAttribute("aria-label")),
      onpointerleave: () => this.say(""),
      onclick: () => this.#enter([row, column], true),
    });
    return node;
  }

  /** One cell at a time is in the tab order; the arrow keys move it. */
  #enter([row, column], focus) {
    this.#cells[this.#at[0]]?.[this.#at[1]]?.node.setAttribute("tabindex", "-1");
    this.#at = [row, column];
    const cell = this.#cells[row]?.[column];
    if (!cell) return;
    cell.node.setAttribute("tabindex", "0");
    if (focus) cell.node.focus();
  }

  #key(event) {
    const [row, column] = this.#at;
    const columns = this.#cells[0]?.length ?? 0;
    const next = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1], Home: [row, 0], End: [row, columns - 1],
    }[event.key];
    if (!next) return;
    event.preventDefault();
    if (this.#cells[next[0]]?.[next[1]]) this.#enter(next, true);
  }
}

const columnsDown = (levels) => Array.from({ length: levels }, (_, at) => levels - 1 - at);

/** A tree as a stack of bars, the root on top: as wide as the logarithm of its nodes, as dark as they are full. */
function drawTree(svg, levels, height) {
  const widest = Math.log2(1 + Math.max(2, ...levels.map(({ nodes }) => nodes)));
  levels.forEach(({ nodes, fill }, level) => {
    const bar = svg.children[level] ?? svg.appendChild(s("rect", { height: 5.5, rx: 1 }));
    const width = Math.max(3, (40 * Math.log2(1 + nodes)) / widest);
    attribute(bar, "x", ((40 - width) / 2).toFixed(1));
    attribute(bar, "y", String((height - 1 - level) * 7 + 1));
    attribute(bar, "width", width.toFixed(1));
    attribute(bar, "class", `fill-${Math.min(4, Math.floor(fill * 5))}`);
  });
  while (svg.children.length > levels.length) svg.lastChild.remove();
}
