// How far the cold tier follows the hot one, table by table, and what the hot tier has let go of.

import { $, h, setState, setText, sync } from "./dom.js";
import { count, duration, rate, short } from "./format.js";
import { poll } from "./live.js";

const columns = [
  { title: "Table", show: (cell, one) => setText(cell, one.table) },
  { title: "State", show: (cell, one) => setState(cell.firstChild ?? cell.appendChild(h("span", { class: "state small" })), one.state) },
  { title: "Lag", number: true, hint: "how long the oldest row that is not copied has been in the hot tier", show: (cell, one) => setText(cell, duration(one.lag_seconds)) },
  { title: "Backlog", number: true, hint: "rows that may be copied and are not yet", show: (cell, one) => setText(cell, count(one.backlog_rows)) },
  { title: "Rows/s", number: true, show: (cell, one) => setText(cell, rate(one.rows_per_second)) },
  { title: "Done in", number: true, show: (cell, one) => setText(cell, one.backlog_rows === 0 ? "done" : duration(one.eta_seconds ?? Infinity)) },
  { title: "Watermark", number: true, hint: "stream sequence up to which the table is in the cold tier", show: (cell, one) => setText(cell, count(one.watermark_sequence)) },
  { title: "Verified", number: true, hint: "ranges compared and entered in the ledger since cold-storage started", show: (cell, one) => setText(cell, count(one.verified_ranges)) },
  { title: "Differ", number: true, hint: "ranges that are not the same in both tiers", show: (cell, one) => setText(cell, count(one.verification_failures)) },
  { title: "Released", number: true, hint: "rows the hot tier let go of", show: (cell, one) => setText(cell, short(one.released_rows)) },
  { title: "Days kept", number: true, hint: "days older than the retention that stay: not proved / held by the stream", show: (cell, one) => setText(cell, `${count(one.unverified_days)} / ${count(one.held_days)}`) },
];

export function startReplication() {
  $("replication-head").append(...columns.map(({ title, number, hint }) => h("th", { scope: "col", class: number && "num", title: hint, text: title })));
  poll($("replication"), 2000, () => "api/v1/live/replication", show, (why) => say(`not up to date: ${why}`, true));
}

function say(text, isBad = false) {
  setText($("replication-note"), text);
  $("replication-note").classList.toggle("bad", isBad);
}

function show({ cold_storage: source, tables, last_success_seconds_ago: since }) {
  if (source.state === "unreachable") {
    const age = source.age_ms === null ? "never seen" : `as of ${duration(source.age_ms / 1000)} ago`;
    say(`cold-storage is unreachable; ${age}`, true);
  } else {
    say(since === null ? "no round ended yet" : `last round without an error ended ${duration(since)} ago`);
  }
  const make = () => h("tr", {}, ...columns.map(({ number }) => h("td", { class: number && "num" })));
  sync($("replication-body"), tables, make, (row, table) => columns.forEach(({ show: fill }, at) => fill(row.children[at], table)));
}
