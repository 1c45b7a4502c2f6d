// The pipeline as a diagram: five stations and the four hops between them, each with its rate and its lag.

import { $, h, setState, setText, sync } from "./dom.js";
import { bytes, count, duration, rate, short } from "./format.js";
import { spark } from "./charts.js";

/** Points of a hop's history: five minutes of seconds. */
const HISTORY = 300;

const stations = [
  { id: "exchanges", title: "Exchanges", facts: () => [] },
  {
    id: "collector", title: "Collector",
    facts: (data) => [
      ["live", data.collector.streams_total === null ? "–" : `${count(data.collector.streams_live)} of ${count(data.collector.streams_total)}`],
      ["sockets", count(data.collector.sockets)],
      ["gaps declared", count(data.collector.gaps_total)],
      ["memory", bytes(data.nodes.collector.memory_bytes)],
    ],
  },
  {
    id: "broker", title: "NATS JetStream",
    facts: (data) => [
      ...data.streams.map((stream) => [stream.name.toLowerCase(), short(stream.messages)]),
      ...(data.streams.length > 0 ? [["on disk", bytes(data.streams.reduce((sum, stream) => sum + stream.bytes, 0))]] : []),
    ],
  },
  {
    id: "hot_storage", title: "Hot storage", also: "hot_clickhouse",
    facts: (data) => [
      ["rows stored", short(data.hot.rows_total)],
      ["waiting", count(data.hot.backlog_messages)],
      ["time to loss", data.hot.seconds_until_loss === null ? "nothing waits" : duration(data.hot.seconds_until_loss)],
      ["dead letters", count(data.hot.dead_letters_total)],
    ],
  },
  {
    id: "cold_storage", title: "Cold storage", also: "cold_clickhouse",
    facts: (data) => [
      ["rows copied", short(data.cold.rows_total)],
      ["backlog", count(data.cold.backlog_rows)],
      ["ranges that differ", count(data.cold.verification_failures_total)],
      ["memory", bytes(data.nodes.cold_storage.memory_bytes)],
    ],
  },
];
const hops = [
  { id: "receive", unit: "frames/s", lag: "exchange to us, p99" },
  { id: "publish", unit: "messages/s", lag: "frame to confirmed, p99" },
  { id: "store", unit: "rows/s", lag: "oldest not stored" },
  { id: "replicate", unit: "rows/s", lag: "oldest not copied" },
];

const views = new Map();
const history = new Map(hops.map((hop) => [hop.id, []]));

function build() {
  const flow = $("flow");
  stations.forEach((station, at) => {
    flow.append(buildStation(station));
    if (hops[at]) flow.append(buildHop(hops[at]));
  });
}

function buildStation({ id, title, also }) {
  const view = {
    state: h("span", { class: "state" }), also: also && h("span", { class: "state small" }),
    facts: h("dl", { class: "facts" }), exchanges: h("ul", { class: "exchanges" }), reasons: h("ul", { class: "reasons" }),
  };
  view.root = h("article", { class: "station", id: `station-${id}` }, h("h3", { text: title }), view.state);
  if (also) view.root.append(h("p", { class: "also" }, "ClickHouse ", view.also));
  view.root.append(id === "exchanges" ? view.exchanges : view.facts, view.reasons);
  views.set(id, view);
  return view.root;
}

function buildHop({ id, unit, lag }) {
  const view = { rate: h("strong"), lag: h("b"), spark: h("div", { class: "spark", "aria-hidden": "true" }) };
  view.root = h("div", { class: "hop", id: `hop-${id}` },
    h("p", { class: "rate" }, view.rate, h("span", { text: ` ${unit}` })), h("div", { class: "arrow", "aria-hidden": "true" }), view.spark,
    h("p", { class: "lag" }, view.lag, h("span", { text: ` ${lag}` })));
  view.chart = spark(view.spark);
  views.set(id, view);
  return view.root;
}

/** Shows a snapshot of the pipeline. */
export function showPipeline(data) {
  if (views.size === 0) build();
  for (const station of stations) {
    const view = views.get(station.id);
    if (station.id === "exchanges") { showExchanges(view, data.exchanges); continue; }
    showNode(view, data.nodes[station.id], station.also && data.nodes[station.also]);
    sync(view.facts, station.facts(data), () => h("div", {}, h("dt"), h("dd")), (row, [name, value]) => {
      setText(row.firstChild, name);
      setText(row.lastChild, value);
    });
  }
  for (const { id } of hops) showHop(id, data.hops[id]);
  showVerdict(data);
}

function showNode(view, node, also) {
  setState(view.state, node.state, worded(node));
  if (also) setState(view.also, also.state, worded(also));
  view.root.dataset.state = node.state;
  const reasons = [...node.reasons, ...(also?.reasons ?? [])];
  sync(view.reasons, reasons, () => h("li"), setText);
}

/** What cannot be reached says for how long: its numbers are that old. */
function worded(node) {
  if (node.state !== "unreachable") return node.state;
  if (node.age_ms === null) return "unreachable, never seen";
  // Broken only before "for".
  return `unreachable ${`for ${duration(node.age_ms / 1000)}`.replaceAll(" ", "\u00a0")}`;
}

function showExchanges(view, exchanges) {
  const ill = exchanges.filter((exchange) => exchange.state !== "live");
  const isKnown = exchanges.some((exchange) => exchange.state !== "unknown");
  const state = !isKnown ? "unknown" : ill.length === 0 ? "live" : "degraded";
  setState(view.state, state, state === "degraded" ? `${exchanges.length - ill.length} of ${exchanges.length} live` : state);
  view.root.dataset.state = state;
  const make = () => h("li", {}, h("span", { class: "state small" }), h("span", { class: "name" }), h("span", { class: "num" }), h("span", { class: "num" }));
  sync(view.exchanges, exchanges, make, (row, exchange) => {
    const [mark, name, speed, latency] = row.children;
    setState(mark, exchange.state);
    setText(name, `${exchange.exchange} ${exchange.market_type}`);
    setText(speed, `${rate(exchange.frames_per_second)}/s`);
    setText(latency, duration(exchange.latency_p99_seconds));
    latency.title = "exchange's clock to our receipt, 99 of 100";
  });
}

function showHop(id, hop) {
  const view = views.get(id);
  const points = history.get(id);
  points.push(hop.rate_per_second);
  if (points.length > HISTORY) points.shift();
  setText(view.rate, rate(hop.rate_per_second));
  setText(view.lag, duration(hop.lag_seconds));
  view.root.dataset.state = hop.state;
  view.root.classList.toggle("flowing", hop.rate_per_second > 0);
  view.chart(points);
}

function showVerdict({ nodes, exchanges }) {
  const names = { collector: "collector", broker: "NATS", hot_storage: "hot-storage", hot_clickhouse: "hot ClickHouse", cold_storage: "cold-storage", cold_clickhouse: "cold ClickHouse" };
  const ill = Object.entries(nodes).filter(([, node]) => node.state !== "healthy");
  // Of exchanges nobody says anything without the collector, which is said already.
  const down = nodes.collector.state === "unreachable" ? [] : exchanges.filter((exchange) => exchange.state !== "live");
  const said = [
    ...ill.map(([id, node]) => `${names[id]} ${node.state}`),
    ...down.map((one) => `${one.exchange} ${one.market_type} ${one.state}`),
  ];
  const verdict = $("pipeline-verdict");
  const order = ["unreachable", "unhealthy", "degraded"];
  const worst = order.find((state) => ill.some(([, node]) => node.state === state)) ?? (said.length > 0 ? "degraded" : "healthy");
  setState(verdict, worst, said.length === 0 ? "Everything flows." : said.join(" · "));
  document.title = said.length === 0 ? "MarketPrism" : `(${said.length}) MarketPrism`;
}
