// A line chart of the last five minutes: axes, a legend that doubles as read-out, and a crosshair that
// follows the pointer or the arrow keys.

import { attribute, freshId, h, s, text } from "./dom.js";
import { compact, duration } from "./format.js";
import { SPAN_MS } from "./history.js";
import { linear, logarithmic } from "./scale.js";

const MARGIN = { top: 8, right: 10, bottom: 20, left: 44 };
const GAP_MS = 3_500;

// How far back the axis reaches, and how far apart its marks are, in seconds: a page that has just been
// opened fills its charts with the little it has seen.
const REACHES = [[60, 15], [120, 30], [SPAN_MS / 1000, 60]];

/**
 * `title` and `unit` head the chart; `format` writes a value; `lines()` gives what to draw now:
 * `{id, label, style, value(sample)}`, where a value of null leaves a gap. `max` fixes the top of the axis.
 */
export class Chart {
  #samples = [];
  #focus = null; // the time under the crosshair, or null
  #lines = [];
  #legend = new Map();
  #paths = new Map();
  #log = false;
  #reach = REACHES[0];

  constructor({ title, unit, format, lines, height = 190, max, controls = [] }) {
    Object.assign(this, { unit, format, lines, height, max });
    const id = freshId("chart");
    this.legend = h("ul", { class: "legend" });
    this.when = h("span", { class: "when" });
    this.grid = s("g", { class: "grid" });
    this.plot = s("g", { class: "plot" });
    this.cross = s("g", { class: "cross" });
    this.title = title;
    this.svg = s("svg", {
      class: "chart", height, tabindex: 0, role: "slider", "aria-labelledby": id,
      "aria-valuemin": -SPAN_MS / 1000, "aria-valuemax": 0, "aria-valuenow": 0, "aria-valuetext": "no figures yet",
      onpointermove: (event) => this.#point(event),
      onpointerleave: () => this.#look(null),
      onblur: () => this.#look(null),
      onkeydown: (event) => this.#key(event),
    }, this.grid, this.plot, this.cross);
    this.element = h("figure", { class: "panel" },
      h("figcaption", {},
        h("h3", { id }, title, " ", h("small", {}, unit)), h("span", { class: "controls" }, controls)),
      this.legend, this.svg, this.when);
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  /** Draws with a logarithmic value axis, or a linear one. */
  set logarithmic(on) {
    this.#log = on;
    this.draw();
  }

  /** Takes the samples to draw; the array is read again at every `draw`. */
  update(samples) {
    this.#samples = samples;
    this.draw();
  }

  draw() {
    const width = this.svg.clientWidth;
    if (width === 0 || this.#samples.length === 0) return;
    attribute(this.svg, "viewBox", `0 0 ${width} ${this.height}`);
    this.#lines = this.lines();
    const now = this.#samples.at(-1).time;
    const seen = (now - this.#samples[0].time) / 1000;
    this.#reach = REACHES.find(([seconds]) => seen <= seconds) ?? REACHES.at(-1);
    const span = this.#reach[0] * 1000;
    this.x = (time) => MARGIN.left + (1 - (now - time) / span) * (width - MARGIN.left - MARGIN.right);
    const scale = this.#scale();
    const inner = this.height - MARGIN.top - MARGIN.bottom;
    this.y = (value) => MARGIN.top + (1 - scale.at(value)) * inner;
    this.#drawGrid(scale, width);
    this.#drawLines();
    this.#drawFocus();
  }

  #scale() {
    let low = Infinity;
    let high = 0;
    for (const sample of this.#samples) {
      for (const { value } of this.#lines) {
        const at = value(sample);
        if (at === null) continue;
        high = Math.max(high, at);
        if (at > 0) low = Math.min(low, at);
      }
    }
    return this.#log ? logarithmic(low === Infinity ? 0.1 : low, high) : linear(this.max ?? high);
  }

  #drawGrid(scale, width) {
    const bottom = this.height - MARGIN.bottom;
    const marks = scale.ticks.map((tick) => [
      s("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: this.y(tick), y2: this.y(tick) }),
      s("text", { x: MARGIN.left - 6, y: this.y(tick), dy: "0.32em", "text-anchor": "end" }, compact(tick)),
    ]);
    const last = this.#samples.at(-1).time;
    const [reach, step] = this.#reach;
    for (let back = 0; back <= reach; back += width < 360 ? 2 * step : step) {
      const x = this.x(last - back * 1000);
      marks.push([
        s("line", { class: "mark", x1: x, x2: x, y1: bottom, y2: bottom + 4 }),
        s("text", { x: back === 0 ? x + 8 : x, y: this.height - 4, "text-anchor": back === 0 ? "end" : "middle" },
          back === 0 ? "now" : `−${duration(back)}`),
      ]);
    }
    this.grid.replaceChildren(...marks.flat());
  }

  #drawLines() {
    const known = new Set();
    for (const { id, label, style, value } of this.#lines) {
      known.add(id);
      if (!this.#paths.has(id)) this.#introduce(id, label);
      const path = this.#paths.get(id);
      attribute(path, "class", `line ${style}`);
      attribute(this.#legend.get(id).mark, "class", `line ${style}`);
      attribute(path, "d", this.#trace(value));
    }
    for (const [id, path] of this.#paths) {
      if (known.has(id)) continue;
      path.remove();
      this.#legend.get(id).item.remove();
      this.#paths.delete(id);
      this.#legend.delete(id);
    }
  }

  #introduce(id, label) {
    const path = s("path");
    this.#paths.set(id, path);
    this.plot.append(path);
    const mark = s("path", { d: "M1 5H17" });
    const value = h("b");
    const item = h("li", {}, s("svg", { width: 18, height: 10, "aria-hidden": "true" }, mark), label, " ", value);
    this.#legend.set(id, { item, mark, value });
    this.legend.append(item);
  }

  /** A path through the samples that lifts the pen where samples or values are missing. */
  #trace(value) {
    let path = "";
    let before = null;
    for (const sample of this.#samples) {
      const at = value(sample);
      if (at === null) {
        before = null;
        continue;
      }
      const point = `${this.x(sample.time).toFixed(1)} ${this.y(at).toFixed(1)}`;
      // "h0" makes a lone sample a dot.
      path += before !== null && sample.time - before < GAP_MS ? `L${point}` : `M${point}h0`;
      before = sample.time;
    }
    return path;
  }

  #drawFocus() {
    const sample = this.#sampleAt(this.#focus) ?? this.#samples.at(-1);
    const back = Math.round((this.#samples.at(-1).time - sample.time) / 1000);
    const values = this.#lines.map(({ id, label, value }) => {
      const at = value(sample);
      const written = at === null ? "–" : this.format(at);
      text(this.#legend.get(id).value, written);
      return `${label} ${written}`;
    });
    const clock = new Date(sample.time).toLocaleTimeString();
    text(this.when, this.#focus === null ? "" : `${clock}, ${back} s ago`);
    attribute(this.svg, "aria-valuenow", String(-back));
    attribute(this.svg, "aria-valuetext", `${back} s ago: ${values.join(", ") || "nothing yet"}`);
    if (this.#focus === null) {
      this.cross.replaceChildren();
      return;
    }
    const x = this.x(sample.time);
    const dots = this.#lines.map(({ style, value }) => [value(sample), style]).filter(([at]) => at !== null)
      .map(([at, style]) => s("circle", { class: `dot ${style}`, cx: x, cy: this.y(at), r: 3.5 }));
    this.cross.replaceChildren(
      s("line", { x1: x, x2: x, y1: MARGIN.top, y2: this.height - MARGIN.bottom }), ...dots);
  }

  #sampleAt(time) {
    if (time === null) return null;
    return this.#samples.reduce((best, sample) =>
      (Math.abs(sample.time - time) < Math.abs(best.time - time) ? sample : best), this.#samples[0]);
  }

  #look(time) {
    this.#focus = time;
    if (this.#samples.length > 0 && this.x) this.#drawFocus();
  }

  #point(event) {
    if (!this.x || this.#samples.length === 0) return;
    const box = this.svg.getBoundingClientRect();
    const share = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    this.#look(this.#samples.at(-1).time - (1 - Math.min(1, Math.max(0, share))) * this.#reach[0] * 1000);
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -30, PageUp: 30 };
    const jumps = { Home: 0, End: this.#samples.length - 1 };
    if (this.#samples.length === 0) return;
    if (event.key === "Escape") {
      this.#look(null);
      return;
    }
    if (!(event.key in steps) && !(event.key in jumps)) return;
    event.preventDefault();
    const at = this.#focus === null ? this.#samples.length - 1 : this.#samples.indexOf(this.#sampleAt(this.#focus));
    const next = jumps[event.key] ?? Math.min(this.#samples.length - 1, Math.max(0, at + steps[event.key]));
    this.#look(this.#samples[next].time);
  }
}
