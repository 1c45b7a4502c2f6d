// Every stream in one table that stays fast with thousands of rows: only the rows in view exist, and they are reused.

import { $, h, setState, setText, sync } from "./dom.js";
import { clock, count, duration, rate, stamp } from "./format.js";
import { poll } from "./live.js";

/** Height of a row in the style sheet, and rows kept beyond both ends of the view. */
const ROW_PX = 26;
const SPARE = 6;

const badness = { disconnected: 0, stale: 1, unknown: 2, syncing: 3, waiting: 4, live: 5 };
const columns = [
  { id: "exchange", title: "Exchange", key: (one) => one.exchange, show: (cell, one) => setText(cell, one.exchange) },
  { id: "market_type", title: "Market", key: (one) => one.market_type, show: (cell, one) => setText(cell, one.market_type) },
  { id: "symbol", title: "Symbol", key: (one) => one.symbol },
  { id: "data_type", title: "Data type", key: (one) => one.data_type, show: (cell, one) => setText(cell, one.data_type) },
  { id: "state", title: "State", key: (one) => badness[one.state] ?? 9, show: (cell, one) => setState(cell.firstChild, one.state) },
  { id: "rate", title: "Events/s", number: true, key: (one) => one.events_per_minute ?? -1, show: (cell, one) => setText(cell, rate(perSecond(one))) },
  { id: "latency", title: "Latency", number: true, hint: "exchange's clock to our receipt, last event", key: (one) => one.latency_ms ?? -1, show: (cell, one) => setText(cell, duration(seconds(one.latency_ms))) },
  { id: "age", title: "Age", number: true, hint: "since something came", key: (one) => one.age_ms ?? Infinity, show: (cell, one) => setText(cell, duration(seconds(one.age_ms))) },
  { id: "gaps", title: "Gaps", number: true, hint: "declared since the collector started", key: (one) => one.gaps, show: (cell, one) => setText(cell, count(one.gaps)) },
  { id: "last_gap", title: "Last gap", number: true, key: (one) => one.last_gap_us ?? 0, show: (cell, one) => { setText(cell, one.last_gap_us ? clock(one.last_gap_us) : "–"); cell.title = one.last_gap_us ? stamp(one.last_gap_us) : ""; } },
];
const perSecond = (one) => (one.events_per_minute === null ? null : one.events_per_minute / 60);
const seconds = (millis) => (millis === null ? null : millis / 1000);

let all = [], shown = [], words = [], onlyState = null;
let order = { column: columns[4], down: false };
let onChoice;

export function startStreams({ onStreams, onChoice: choose }) {
  onChoice = choose;
  $("streams-head").append(...columns.map((column) => h("th", { scope: "col", class: column.number && "num", title: column.hint },
    h("button", { type: "button", text: column.title, onclick: () => sortBy(column) }))));
  sortBy(order.column);
  $("streams-filter").addEventListener("input", (event) => {
    words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
    arrange();
  });
  const scroll = $("streams-scroll");
  scroll.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(scroll);
  const answered = (data) => {
    all = data.streams;
    onStreams(all);
    note(data);
    arrange();
  };
  poll($("streams"), 2000, () => "api/v1/live/streams", answered, (why) => say(`not up to date: ${why}`, true));
}

function note({ collector, total }) {
  const cut = total > all.length ? `, ${count(all.length)} shown` : "";
  const age = collector.state === "unreachable" ? ` · the collector is unreachable; as of ${duration(seconds(collector.age_ms))} ago` : "";
  say(`${count(total)} streams${cut}${age}`, age !== "");
}

function say(text, isBad) {
  setText($("streams-note"), text);
  $("streams-note").classList.toggle("bad", isBad);
}

function sortBy(column) {
  order = { column, down: order.column === column ? !order.down : Boolean(column.number) };
  [...$("streams-head").children].forEach((cell, at) => {
    if (columns[at] === column) cell.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    else cell.removeAttribute("aria-sort");
  });
  arrange();
}

function arrange() {
  const matching = all.filter((one) => {
    const text = `${one.exchange} ${one.market_type} ${one.symbol} ${one.data_type} ${one.state}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  showStates(matching);
  shown = onlyState ? matching.filter((one) => one.state === onlyState) : matching;
  const { column: { key }, down } = order;
  const sign = down ? -1 : 1;
  const name = (one) => `${one.exchange} ${one.market_type} ${one.symbol} ${one.data_type}`;
  shown.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === y) return name(a) < name(b) ? -1 : 1;
    return (x < y ? -1 : 1) * sign;
  });
  draw();
}

function showStates(streams) {
  const counts = new Map(Object.keys(badness).map((state) => [state, 0]));
  for (const { state } of streams) counts.set(state, (counts.get(state) ?? 0) + 1);
  const states = [...counts].filter(([state, many]) => many > 0 || state === onlyState);
  const make = () => h("button", { type: "button", class: "state chip", onclick: (event) => {
    const { state } = event.currentTarget.dataset;
    onlyState = onlyState === state ? null : state;
    arrange();
  } });
  sync($("streams-states"), states, make, (button, [state, many]) => {
    setState(button, state, `${state} ${count(many)}`);
    button.setAttribute("aria-pressed", String(state === onlyState));
  });
}

function makeRow() {
  const row = h("tr", {}, ...columns.map((column) => h("td", { class: column.number && "num" })));
  row.children[2].append(h("button", { type: "button", class: "link", onclick: () => onChoice(row.stream) }));
  row.children[4].append(h("span", { class: "state small" }));
  return row;
}

function showRow(row, one) {
  row.stream = one;
  columns.forEach(({ show }, at) => show?.(row.children[at], one));
  setText(row.children[2].firstChild, one.symbol);
}

/** The rows in view, between two empty ones that are as high as all others together. */
function draw() {
  const scroll = $("streams-scroll"), body = $("streams-body");
  const many = Math.ceil(scroll.clientHeight / ROW_PX) + 2 * SPARE;
  const first = Math.max(0, Math.min(Math.floor(scroll.scrollTop / ROW_PX) - SPARE, shown.length - many));
  const visible = shown.slice(first, first + many);
  if (!body.firstChild) body.append(h("tr", { class: "space", "aria-hidden": "true" }), h("tr", { class: "space", "aria-hidden": "true" }));
  const [before, after] = [body.firstChild, body.lastChild];
  before.style.height = `${first * ROW_PX}px`;
  after.style.height = `${(shown.length - first - visible.length) * ROW_PX}px`;
  while (body.children.length - 2 > visible.length) after.previousSibling.remove();
  while (body.children.length - 2 < visible.length) after.before(makeRow());
  visible.forEach((one, at) => {
    const row = body.children[at + 1];
    row.ariaRowIndex = first + at + 2;
    showRow(row, one);
  });
  scroll.querySelector("table").ariaRowCount = shown.length + 1;
}
