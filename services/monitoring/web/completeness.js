// What is stored of each symbol on each day, in both tiers, and what is declared missing: one cell a day, the worst first.

import { $, h, setText, sync } from "./dom.js";
import { count, duration } from "./format.js";
import { poll } from "./live.js";

/** Symbols shown before somebody asks for the rest. */
const SYMBOLS = 60;

const key = [
  { state: "complete", sign: "✓", text: "all of it proved to be in the cold tier, nothing missing" },
  { state: "copying", sign: "…", text: "not all of it is proved to be in the cold tier yet" },
  { state: "gaps", sign: "!", text: "gaps that could not be filled" },
  { state: "unknown", sign: "?", text: "a tier does not answer" },
  { state: "none", sign: "·", text: "nothing stored" },
];
const signs = new Map(key.map(({ state, sign }) => [state, sign]));

let again, showsAll = false;

export function startCompleteness() {
  $("completeness-key").append(...key.map(({ state, sign, text }) => h("span", {}, h("i", { class: "day", text: sign, data: { state } }), ` ${text}`)));
  const change = () => { showsAll = false; say("asking both tiers"); again(); };
  for (const id of ["completeness-market", "completeness-type"]) $(id).addEventListener("change", change);
  for (const type of ["pointerover", "focusin"]) $("completeness-body").addEventListener(type, explain);
  $("completeness-body").addEventListener("keydown", walk);
  const url = () => {
    const [exchange, market_type] = $("completeness-market").value.split(" ");
    const data_type = $("completeness-type").value || "trade";
    // Without a choice the service names what can be chosen.
    return `api/v1/live/completeness${market_type ? `?${new URLSearchParams({ exchange, market_type, data_type })}` : ""}`;
  };
  again = poll($("completeness"), 15000, url, show, (why) => say(`not up to date: ${why}`, true));
}

/** Arrows move the focus from day to day and from symbol to symbol. */
function walk(event) {
  const cell = event.target.closest("td");
  const at = cell ? [...cell.parentElement.children].indexOf(cell) : -1;
  const beside = { ArrowLeft: () => cell.previousElementSibling, ArrowRight: () => cell.nextElementSibling,
    ArrowUp: () => cell.parentElement.previousElementSibling?.children[at], ArrowDown: () => cell.parentElement.nextElementSibling?.children[at] }[event.key];
  const next = cell && beside?.()?.querySelector(".day");
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function say(text, isBad = false) {
  setText($("completeness-note"), text);
  $("completeness-note").classList.toggle("bad", isBad);
}

function offer(select, values, value) {
  if ([...select.options].map((option) => option.value).join() === values.join()) return;
  select.replaceChildren(...values.map((one) => h("option", { value: one, text: one })));
  select.value = value;
}

function show(data) {
  offer($("completeness-market"), data.markets.map((one) => `${one.exchange} ${one.market_type}`), `${data.exchange} ${data.market_type}`);
  offer($("completeness-type"), data.data_types, data.data_type);
  const { hot, cold } = data.tiers;
  const away = [["hot", hot], ["cold", cold]].filter(([, error]) => error !== null);
  say(away.length ? away.map(([tier, error]) => `${tier} tier: ${error}`).join("; ")
    : `${count(data.symbols.length)} symbols, ${data.days.length} days, counted ${duration(data.age_ms / 1000)} ago`, away.length > 0);
  const head = [h("th", { scope: "col", text: "Symbol" }), ...data.days.map((day) => h("th", { scope: "col", text: day.slice(5), title: day }))];
  $("completeness-head").replaceChildren(...head);
  const shown = showsAll ? data.symbols : data.symbols.slice(0, SYMBOLS);
  const body = $("completeness-body");
  sync(body, shown, () => h("tr", {}, h("th", { scope: "row" })), (row, { symbol, cells }) => {
    setText(row.firstChild, symbol);
    while (row.children.length - 1 > cells.length) row.lastChild.remove();
    while (row.children.length - 1 < cells.length) row.append(h("td", {}, h("i", { class: "day", role: "img" })));
    // One stop a row; arrows go on from there.
    cells.forEach((_, at) => { row.children[at + 1].firstChild.tabIndex = at === cells.length - 1 ? 0 : -1; });
    cells.forEach((cell, at) => showCell(row.children[at + 1].firstChild, symbol, data.days[at], cell));
  });
  const more = $("completeness-more");
  more.hidden = shown.length === data.symbols.length;
  setText(more, `Show ${data.symbols.length - shown.length} more`);
  more.onclick = () => { showsAll = true; show(data); };
}

function showCell(mark, symbol, day, cell) {
  setText(mark, cell.state === "gaps" && cell.open_gaps < 100 ? cell.open_gaps : signs.get(cell.state));
  mark.dataset.state = cell.state;
  const rows = (value) => (value === null ? "unknown" : count(value));
  const gaps = cell.gaps === 0 ? "no gaps" : `${count(cell.gaps)} gaps, ${count(cell.gaps - cell.open_gaps)} filled`;
  const released = cell.hot === 0 && cell.cold > 0 ? " (released)" : "";
  mark.dataset.words = `${symbol} · ${day} · hot ${rows(cell.hot)}${released} · cold ${rows(cell.cold)} · ${gaps} · ${cell.state}`;
  mark.setAttribute("aria-label", mark.dataset.words);
}

function explain({ target }) {
  if (target.dataset.words) setText($("completeness-detail"), target.dataset.words);
}
