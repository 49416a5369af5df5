// The strip of figures at the top: what is going on, at a glance, with a line of the last minute.

import { attribute, h, s, text } from "./dom.js";
import { compact } from "./format.js";

const MINUTE = 60;

/** Operations in the last second, most frequent first, give the latency that the strip shows. */
function slowest(sample) {
  const busy = Object.values(sample.operations).filter((operation) => operation.rate > 0);
  return busy.length === 0 ? null : Math.max(...busy.map((operation) => operation.p99_ms));
}

const TILES = [
  { id: "rate", name: "operations", unit: "per s", value: (sample) => sample.rate },
  { id: "p99", name: "slowest p99", unit: "ms", value: slowest },
  { id: "commits", name: "durable commits", unit: "per s", value: (sample) => sample.log.commit_rate },
  { id: "group", name: "group commit", unit: "commits a flush", value: (sample) => sample.log.group_mean },
  {
    id: "waiting", name: "threads waiting", unit: "for locks and latches",
    value: (sample) => (sample.waiting.lock + sample.waiting.latch) / 1000,
  },
  { id: "splits", name: "splits", unit: "per s", value: (sample) => sample.splits },
  { id: "inflight", name: "in flight", unit: "requests", value: (sample) => sample.inFlight },
  { id: "errors", name: "errors and shed", unit: "per s", value: (sample) => sample.errors + sample.shed },
];

/** The strip. */
export class Tiles {
  #tiles = TILES.map((tile) => {
    const value = h("dd", { id: `tile-${tile.id}` }, "–");
    const path = s("path", { class: "spark" });
    const element = h("div", { class: "tile" },
      h("dt", {}, tile.name), value, h("dd", { class: "unit" }, tile.unit),
      s("svg", { viewBox: "0 0 100 24", preserveAspectRatio: "none", "aria-hidden": "true" }, path));
    return { ...tile, node: value, path, element };
  });

  element = h("dl", { class: "tiles", "aria-label": "At a glance" }, this.#tiles.map((tile) => tile.element));

  update(samples) {
    const recent = samples.slice(-MINUTE);
    for (const tile of this.#tiles) {
      const values = recent.map(tile.value);
      const last = values.at(-1);
      text(tile.node, last === null ? "–" : compact(last));
      attribute(tile.path, "d", sparkline(values));
    }
  }
}

function sparkline(values) {
  const top = Math.max(...values.map((value) => value ?? 0)) || 1;
  const step = 100 / (MINUTE - 1);
  const start = 100 - step * (values.length - 1);
  let pen = "M";
  let path = "";
  values.forEach((value, at) => {
    if (value === null) {
      pen = "M";
      return;
    }
    path += `${pen}${(start + at * step).toFixed(1)} ${(22 - 20 * (value / top)).toFixed(1)}`;
    pen = "L";
  });
  return path;
}
