// The trees themselves: where threads wait, table by table.

import { h, text } from "./dom.js";
import { compact, count, milliseconds, percent, plural } from "./format.js";
import { Heatmap, LEGEND, levelName } from "./heatmap.js";
import { waiting } from "./history.js";
import { toTable } from "./router.js";

const SHOWN = 24;

/** The section about the trees. */
export class Trees {
  #cards = new Map();

  constructor() {
    this.verdict = h("p", { class: "verdict", id: "verdict" });
    this.cards = h("div", { class: "cards" });
    this.more = h("p", { class: "empty", hidden: true });
    this.empty = h("p", { class: "empty", hidden: true }, "No table yet, so no tree. ",
      h("a", { href: "#/data" }, "Create a table"), ", and its trees appear here, a tree a partition.");
    this.element = h("section", { class: "trees", "aria-labelledby": "trees-title" },
      h("div", { class: "section-head" }, h("h2", { id: "trees-title" }, "The trees"), this.verdict),
      h("div", { class: "explain" },
        h("p", {}, "A column is a partition, a row a place where threads can wait: the tree’s lock, which only the "
          + "mutex engine takes, and the page latches of each level. The figure is milliseconds waited in the last "
          + "second, all threads together: 1k is one thread waiting all the time."),
        legend()),
      this.empty, this.cards, this.more);
  }

  update(snapshot) {
    this.#judge(snapshot);
    const tables = snapshot.tables.slice(0, SHOWN);
    const names = new Set(tables.map((table) => table.name));
    for (const [name, card] of this.#cards) {
      if (names.has(name)) continue;
      card.element.remove();
      this.#cards.delete(name);
    }
    tables.forEach((table, at) => {
      const card = this.#cards.get(table.name) ?? this.#add(table.name);
      if (this.cards.children[at] !== card.element) this.cards.insertBefore(card.element, this.cards.children[at]);
      card.update(table);
    });
    this.empty.hidden = tables.length > 0;
    this.more.hidden = snapshot.tables.length <= SHOWN;
    text(this.more, `${plural(snapshot.tables.length - SHOWN, "more table")} not drawn.`);
  }

  #add(name) {
    const card = new Card(name);
    this.#cards.set(name, card);
    return card;
  }

  /** The finding in a sentence. By Little's law, milliseconds waited a second are threads in the queue. */
  #judge(snapshot) {
    const { lock, latch } = waiting(snapshot);
    this.verdict.dataset.lockMs = String(lock);
    this.verdict.dataset.latchMs = String(latch);
    this.verdict.classList.toggle("queue", lock + latch >= 1000);
    text(this.verdict, lock + latch < 10
      ? "Nobody waits for a lock or a latch."
      : `Waiting on average: ${threads(lock)} for a tree’s lock, ${threads(latch)} for a page latch.`);
  }
}

const threads = (ms) => `${compact(ms / 1000)} ${ms === 1000 ? "thread" : "threads"}`;

function legend() {
  return h("dl", { class: "legend-heat" },
    h("div", {}, h("dt", {}, "waiting a second"), h("dd", { class: "steps" },
      LEGEND.map((words, at) => h("span", { class: `heat-${at}` }, words)))),
    h("div", {}, h("dt", {}, "shape: width = log of nodes, shade = fill"), h("dd", { class: "steps" },
      ["0–20 %", "–40", "–60", "–80", "–100"].map((words, at) => h("span", { class: `fill-${at}` }, words)))));
}

/** One table: its grid, and the same in numbers. */
class Card {
  constructor(name) {
    this.facts = h("p", { class: "card-facts" });
    this.readout = h("p", { class: "readout" });
    this.heat = new Heatmap(name, (words) => text(this.readout, words));
    this.body = h("tbody");
    this.details = h("details", { ontoggle: () => this.#numbers() },
      h("summary", {}, "All numbers"),
      h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `All numbers of ${name}` },
        h("table", { class: "figures" }, h("thead", {}, h("tr", {}, HEADS.map((head) => h("th", { scope: "col" }, head)))),
          this.body)));
    this.element = h("article", { class: "panel card", "aria-label": `Trees of ${name}` },
      h("h3", {}, h("a", { href: toTable(name) }, name)), this.facts,
      h("div", { class: "scroll" }, this.heat.element), this.readout, this.details);
    this.element.dataset.table = name;
  }

  update(table) {
    this.table = table;
    const sum = (key) => table.partitions.reduce((total, partition) => total + partition[key], 0);
    const nodes = table.partitions.flatMap(({ levels }) => levels).reduce((total, level) => total + level.nodes, 0);
    text(this.facts, `${plural(table.items, "item")} in ${plural(nodes, "node")}; `
      + `${compact(sum("split_rate"))} splits/s, ${compact(sum("merge_rate"))} merges/s, `
      + `${compact(sum("restart_rate"))} restarts/s`);
    this.heat.update(table);
    this.#numbers();
  }

  #numbers() {
    if (!this.details.open || !this.table) return;
    this.body.replaceChildren(...this.table.partitions.flatMap((partition, at) => rows(partition, at)));
  }
}

const HEADS = ["partition", "place", "nodes", "fill", "waited", "waits/s", "restarts/s"];

function rows(partition, at) {
  const whole = h("tr", { class: "whole" }, h("th", { scope: "row" }, String(at)),
    h("td", {}, `lock; ${plural(partition.items, "item")}`), h("td", {}, plural(partition.pages, "page")), h("td", {}, ""),
    h("td", {}, milliseconds(partition.lock_wait_ms)), h("td", {}, ""), h("td", {}, compact(partition.restart_rate)));
  const levels = partition.levels.map((level, depth) => h("tr", {},
    h("th", { scope: "row" }, String(at)), h("td", {}, levelName(depth, partition.levels.length)),
    h("td", {}, count(level.nodes)), h("td", {}, percent(level.fill)), h("td", {}, milliseconds(level.latch_wait_ms)),
    h("td", {}, compact(level.latch_waits)), h("td", {}, compact(level.restarts))));
  return [whole, ...levels.reverse()];
}
