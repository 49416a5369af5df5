// The live view: the strip of figures, the charts, the trees, the log and the pool.

import { Chart } from "./chart.js";
import { h } from "./dom.js";
import { bytes, compact, milliseconds, percent } from "./format.js";
import { OperationTable, inOrder, label, style } from "./operations.js";
import { Tiles } from "./tiles.js";
import { Trees } from "./trees.js";

const PERCENTILES = ["p50", "p95", "p99"];

/** The live view in `element`, drawn from `history`. */
export class Live {
  #names = "";

  constructor(element, history) {
    this.history = history;
    this.tiles = new Tiles();
    this.trees = new Trees();
    this.table = new OperationTable();
    this.throughput = new Chart({
      title: "Throughput", unit: "operations per s", format: compact, lines: () => this.#byOperation("rate", 0),
    });
    this.latency = this.#latencyChart();
    this.small = smallCharts();
    element.append(
      this.tiles.element,
      h("section", { class: "trio", "aria-label": "Operations" },
        this.throughput.element, this.latency.element, this.table.element),
      this.trees.element,
      h("section", { "aria-labelledby": "engine-title" },
        h("div", { class: "section-head" }, h("h2", { id: "engine-title" }, "Log, pool and limits")),
        h("div", { class: "small-charts" }, this.small.map((chart) => chart.element))));
  }

  update(snapshot) {
    const { samples } = this.history;
    this.#offerOperations(Object.keys(snapshot.operations));
    this.tiles.update(samples);
    this.table.update(snapshot.operations);
    this.trees.update(snapshot);
    for (const chart of [this.throughput, this.latency, ...this.small]) chart.update(samples);
  }

  #latencyChart() {
    this.single = h("optgroup", { label: "One operation, p50 to p99" });
    this.choice = h("select", { "aria-label": "Which latencies", onchange: () => this.latency.draw() },
      h("optgroup", { label: "Every operation" },
        ["p99", "p95", "p50"].map((name) => h("option", { value: `${name}_ms` }, name))),
      this.single);
    const scale = h("button", {
      type: "button", class: "quiet", "aria-pressed": "true",
      onclick: () => {
        const on = scale.getAttribute("aria-pressed") !== "true";
        scale.setAttribute("aria-pressed", String(on));
        this.latency.logarithmic = on;
      },
    }, "log scale");
    const chart = new Chart({
      title: "Latency", unit: "ms", format: milliseconds, controls: [this.choice, scale],
      lines: () => (this.choice.value.endsWith("_ms")
        ? this.#byOperation(this.choice.value, null) : percentiles(this.choice.value)),
    });
    chart.logarithmic = true;
    return chart;
  }

  #offerOperations(names) {
    const known = inOrder(names).join();
    if (known === this.#names) return;
    this.#names = known;
    const chosen = this.choice.value;
    this.single.replaceChildren(...inOrder(names).map((name) => h("option", { value: name }, label(name))));
    this.choice.value = chosen;
  }

  /** A line an operation; where an operation was idle its value is `idle`. */
  #byOperation(key, idle) {
    const names = new Set(this.history.samples.flatMap((sample) => Object.keys(sample.operations)));
    return inOrder(names).map((name) => ({
      id: name, label: label(name), style: style(name),
      value: ({ operations: { [name]: operation } }) => (operation?.rate > 0 ? operation[key] : idle),
    }));
  }
}

const percentiles = (name) => PERCENTILES.map((percentile, at) => ({
  id: percentile, label: percentile, style: `series-${at}`,
  value: ({ operations: { [name]: operation } }) => (operation?.rate > 0 ? operation[`${percentile}_ms`] : null),
}));

const line = (id, label, at, value) => ({ id, label, style: `series-${at}`, value });

function hitRatio({ pool }) {
  const all = pool.hit_rate + pool.miss_rate;
  return all > 0 ? (100 * pool.hit_rate) / all : null;
}

function smallCharts() {
  const chart = (title, unit, lines, options) =>
    new Chart({ title, unit, format: compact, height: 128, lines: () => lines, ...options });
  return [
    chart("Waiting threads", "on average", [
      line("lock", "tree locks", 2, ({ waiting }) => waiting.lock / 1000),
      line("latch", "page latches", 0, ({ waiting }) => waiting.latch / 1000),
    ]),
    chart("Commits and flushes", "per s", [
      line("commits", "commits", 0, ({ log }) => log.commit_rate),
      line("flushes", "flushes", 1, ({ log }) => log.flush_rate),
    ]),
    chart("Group commit", "commits a flush", [line("group", "mean", 0, ({ log }) => log.group_mean)]),
    chart("Log", "bytes per s", [line("bytes", "written", 3, ({ log }) => log.byte_rate)], { format: (value) => `${bytes(value)}/s` }),
    chart("Pool hits", "% of look-ups", [line("hits", "in memory", 4, hitRatio)],
      { max: 100, format: (value) => percent(value / 100) }),
    chart("Pool traffic", "pages per s", [
      line("misses", "misses", 2, ({ pool }) => pool.miss_rate),
      line("written", "written back", 1, ({ pool }) => pool.written_rate),
      line("evicted", "evicted", 3, ({ pool }) => pool.eviction_rate),
    ]),
    chart("Requests and connections", "at once", [
      line("inflight", "in flight", 0, ({ inFlight }) => inFlight),
      line("connections", "connections", 3, ({ connections }) => connections),
    ]),
    chart("Errors and refusals", "per s", [
      line("errors", "errors", 2, ({ errors }) => errors),
      line("shed", "shed", 1, ({ shed }) => shed),
    ]),
  ];
}
