// One symbol, live: its order book, its depth, its trades. The service conflates: some five books a second, whatever the
// exchange sends; trades come with each of them.

import { $, h, setText, sync } from "./dom.js";
import { clockMillis, count, difference, duration } from "./format.js";
import { events } from "./live.js";
import { depth, prices } from "./charts.js";

/** Levels a side in the ladder, trades in the tape, seconds in the price chart. */
const LEVELS = 12;
const TRADES = 60;
const WINDOW_SECONDS = 300;

let choices = new Map();
let chosen, close, drawDepth, drawPrices;
let trades = [], points = [], hasBook = false;

const nameOf = ({ exchange, market_type, symbol }) => `${exchange} ${market_type} ${symbol}`;

export function startMarket() {
  drawDepth = depth($("depth-chart"));
  drawPrices = prices($("price-chart"));
  $("market-choice").addEventListener("change", (event) => {
    const wanted = choices.get(event.target.value.trim());
    if (wanted) look(wanted); else say(`no stream of “${event.target.value}”`, true);
  });
  window.addEventListener("hashchange", fromHash);
  fromHash();
}

/** What can be chosen: the symbols that have a book or trades. The first one is looked at when nothing was chosen. */
export function offerMarkets(streams) {
  const found = new Map();
  for (const stream of streams) {
    if (stream.data_type === "orderbook" || stream.data_type === "trade") found.set(nameOf(stream), stream);
  }
  if (found.size !== choices.size || [...found.keys()].some((name) => !choices.has(name))) {
    $("market-list").replaceChildren(...[...found.keys()].sort().map((value) => h("option", { value })));
  }
  choices = found;
  if (!chosen) {
    const first = [...found.values()].find((one) => one.data_type === "orderbook");
    if (first) look(first);
  }
}

/** Looks at a stream's symbol, and shows where. */
export function choose(stream) {
  location.hash = `market=${[stream.exchange, stream.market_type, stream.symbol].map(encodeURIComponent).join("/")}`;
  $("market").scrollIntoView({ behavior: "smooth" });
}

/** `#market=binance/spot/BTC-USDT` can be bookmarked. */
function fromHash() {
  const [exchange, market_type, symbol] = (location.hash.match(/^#market=(.+)$/)?.[1] ?? "").split("/").map(decoded);
  if (symbol) look({ exchange, market_type, symbol });
}

/** What somebody typed into the address may be no encoding of anything. */
function decoded(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

function look(market) {
  if (chosen && nameOf(chosen) === nameOf(market)) return;
  close?.();
  chosen = market;
  $("market-choice").value = nameOf(market);
  trades = [];
  points = [];
  hasBook = false;
  showTrades();
  for (const id of ["book-asks", "book-bids"]) $(id).replaceChildren();
  setText($("book-spread"), "no book yet");
  say("waiting for the first book");
  const { exchange, market_type, symbol } = market;
  const url = `api/v1/live/market?${new URLSearchParams({ exchange, market_type, symbol })}`;
  const dropped = ({ reason }) => { say(reason, true); };
  close = events(url, { book: showBook, trades: addTrades, dropped }, () => say("not connected; trying again", true));
}

function say(text, isBad = false) {
  setText($("market-note"), text);
  $("market-note").classList.toggle("bad", isBad);
}

function showBook(book) {
  hasBook = true;
  const { bids, asks } = book;
  showSide($("book-asks"), asks.slice(0, LEVELS), true);
  showSide($("book-bids"), bids.slice(0, LEVELS), false);
  const [bid, ask] = [bids[0]?.[0], asks[0]?.[0]];
  const spread = bid && ask ? difference(ask, bid) : "–";
  const basisPoints = bid && ask ? (Number(spread) / Number(ask)) * 10000 : null;
  setText($("book-spread"), bid && ask ? `spread ${spread} · ${basisPoints.toPrecision(2)} bp` : "one side is empty");
  const latency = (book.ts_recv_us - book.ts_event_us) / 1e6;
  facts([
    ["best bid", bid ?? "–"], ["best ask", ask ?? "–"], ["spread", spread],
    ["levels", `${count(book.bid_levels)} / ${count(book.ask_levels)}`],
    ["update", String(book.last_update_id)], ["latency", duration(latency)],
  ]);
  say(`book of ${clockMillis(book.ts_event_us)}`);
  drawDepth(bids, asks);
  const time = book.ts_event_us / 1e6;
  if (!points.length || time > points.at(-1).time) points.push({ time, bid: Number(bid ?? NaN), ask: Number(ask ?? NaN) });
  while (points.length && points[0].time < time - WINDOW_SECONDS) points.shift();
  drawPrices(points);
}

/** Asks are drawn with the best one at the bottom, next to the bids. */
function showSide(body, levels, isReversed) {
  let sum = 0;
  const rows = levels.map(([price, quantity]) => ({ price, quantity, sum: (sum += Number(quantity)) }));
  if (isReversed) rows.reverse();
  const make = () => h("tr", {}, h("td", { class: "num price" }), h("td", { class: "num" }), h("td", { class: "num sum" }));
  sync(body, rows, make, (row, level) => {
    const [price, quantity, total] = row.children;
    setText(price, level.price);
    setText(quantity, level.quantity);
    setText(total, level.sum.toPrecision(5));
    row.style.setProperty("--fill", `${((100 * level.sum) / (sum || 1)).toFixed(1)}%`);
  });
}

function facts(pairs) {
  sync($("market-facts"), pairs, () => h("div", {}, h("dt"), h("dd")), (row, [name, value]) => {
    setText(row.firstChild, name);
    setText(row.lastChild, value);
  });
}

function addTrades({ trades: more, skipped }) {
  trades = [...more.toReversed(), ...trades].slice(0, TRADES);
  if (!hasBook) say("trades, and no book yet");
  if (skipped > 0) say(`${count(skipped)} trades are not shown: more came than anybody can read`);
  showTrades();
}

function showTrades() {
  const make = () => h("tr", {}, h("td"), h("td", { class: "num price" }), h("td", { class: "num" }), h("td", { class: "side" }));
  sync($("trades"), trades, make, (row, trade) => {
    const [time, price, quantity, side] = row.children;
    setText(time, clockMillis(trade.ts_event_us));
    setText(price, trade.price);
    setText(quantity, trade.quantity);
    setText(side, trade.side === "buy" ? "▲ buy" : "▼ sell");
    row.dataset.side = trade.side;
  });
}
