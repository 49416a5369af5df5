// Wires the page: the stream feeds the history, the history feeds the views, the address picks the view.

import { signIn } from "./api.js";
import { Data } from "./data.js";
import { h, text } from "./dom.js";
import { compact, duration } from "./format.js";
import { History } from "./history.js";
import { Live } from "./live.js";
import { where } from "./router.js";
import { Stream } from "./stream.js";

const element = (id) => document.getElementById(id);

const history = new History();
const stream = new Stream();
const live = new Live(element("view-live"), history);
const data = new Data(element("view-data"));
let latest = null;

function showFacts(snapshot) {
  const facts = [
    ["node", snapshot.node_id], ["preset", snapshot.preset], ["engine", snapshot.engine],
    ["commit", snapshot.commit], ["partitions", String(snapshot.partitions)],
    ["pool", `${compact(snapshot.pool.frames)} pages`], ["checkpoints", compact(snapshot.checkpoints)],
    ["version", snapshot.version], ["up", duration(snapshot.uptime_s)],
  ];
  const list = element("facts");
  if (list.children.length === 0) {
    list.append(...facts.map(([name]) => h("div", {}, h("dt", {}, name), h("dd", { id: `fact-${name}` }))));
  }
  for (const [name, value] of facts) text(element(`fact-${name}`), value);
  document.title = `${snapshot.node_id} · HedgehogDB`;
}

function render() {
  if (!latest || document.hidden) return;
  showFacts(latest);
  if (where().view === "live") live.update(latest);
  data.counts(latest.tables);
}

function route(event) {
  const place = where();
  for (const view of ["live", "data"]) {
    element(`view-${view}`).hidden = place.view !== view;
    const link = document.querySelector(`nav [data-view="${view}"]`);
    if (place.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (place.view === "data") data.show(place, event !== undefined);
  else render();
}

stream.addEventListener("snapshot", ({ detail }) => {
  latest = detail;
  history.add(detail);
  render();
});

stream.addEventListener("state", ({ detail: { name, text: words } }) => {
  element("connection").dataset.state = name;
  text(element("connection-text"), words);
  element("sign-in").hidden = name !== "locked";
  document.body.classList.toggle("stale", latest !== null && name !== "live");
});

setInterval(() => {
  const stale = document.body.classList.contains("stale");
  element("age").hidden = !stale;
  if (stale) text(element("age"), `These figures are ${duration(stream.age / 1000)} old.`);
}, 1_000);

element("sign-in").addEventListener("click", async () => {
  if (await signIn()) stream.connect();
});
element("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address belongs to the router
  element("main").focus();
});
document.addEventListener("visibilitychange", render);
addEventListener("hashchange", route);

route();
stream.start();
