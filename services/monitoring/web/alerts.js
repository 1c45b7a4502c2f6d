// What fires now, the worst first. That there is nothing is said only when Alertmanager answered.

import { $, h, setState, setText, sync } from "./dom.js";
import { count, duration } from "./format.js";
import { ask } from "./live.js";

const EVERY_MS = 5000;
const LIMIT = 200;
const rank = { critical: 0, warning: 1, info: 2 };

export function startAlerts() {
  const look = async () => {
    if (!document.hidden) {
      try { show((await ask(`api/v1/alerts?limit=${LIMIT}`)).data); } catch (error) { unknown(error); }
    }
    setTimeout(look, EVERY_MS);
  };
  look();
}

function say(text, isBad, badge) {
  setText($("alerts-note"), text);
  $("alerts-note").classList.toggle("bad", isBad);
  $("alerts-count").hidden = badge === 0;
  setText($("alerts-count"), badge);
}

/** An Alertmanager that this installation does not have is no fault; one that does not answer is. */
function unknown({ message, details }) {
  $("alerts-list").replaceChildren();
  if (details?.configured === "false") say(`none here: ${message}`, false, 0);
  else say(`not known: ${message}`, true, "?");
}

const place = (alert) => (alert.status === "suppressed" ? 10 : 0) + (rank[alert.severity] ?? 3);

function show({ alerts, total_count: total }) {
  const silenced = alerts.filter((alert) => alert.status === "suppressed").length;
  const firing = total - silenced;
  const beside = silenced > 0 ? `, ${count(silenced)} silenced` : "";
  say(firing === 0 ? `nothing fires${beside}` : `${count(firing)} firing${beside}`, false, firing);
  alerts.sort((a, b) => place(a) - place(b) || (a.timestamp < b.timestamp ? 1 : -1));
  const make = () => h("li", {}, h("span", { class: "state" }), h("strong"), h("span", { class: "since" }), h("a", { text: "Runbook" }), h("p"));
  sync($("alerts-list"), alerts, make, showAlert);
}

function showAlert(item, alert) {
  const [state, name, since, link, words] = item.children;
  item.classList.toggle("silenced", alert.status === "suppressed");
  const tone = { critical: "unhealthy", warning: "degraded" }[alert.severity] ?? "unknown";
  setState(state, tone, alert.status === "suppressed" ? `${alert.severity}, silenced` : alert.severity);
  setText(name, alert.name);
  setText(since, `for ${duration((Date.now() - Date.parse(alert.timestamp)) / 1000)}`);
  const { summary } = alert.annotations;
  setText(words, summary && summary !== alert.description ? `${summary}. ${alert.description}` : alert.description);
  const runbook = alert.annotations.runbook_url ?? "";
  link.hidden = !/^https?:/.test(runbook);
  if (!link.hidden && link.href !== runbook) link.href = runbook;
}
