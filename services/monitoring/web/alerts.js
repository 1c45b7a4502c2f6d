// What fires now, the worst first. That there is nothing is said only when Alertmanager answered.

import { $, h, setState, setText, sync } from "./dom.js";
import { duration } from "./format.js";
import { ask } from "./live.js";

const EVERY_MS = 5000;
const rank = { critical: 0, warning: 1 };

export function startAlerts() {
  const look = async () => {
    if (!document.hidden) {
      try { show(await ask("api/v1/alerts?limit=200")); } catch (error) { unknown(error.message); }
    }
    setTimeout(look, EVERY_MS);
  };
  look();
}

function unknown(why) {
  setText($("alerts-note"), `not known: ${why}`);
  $("alerts-note").classList.add("bad");
  $("alerts-count").hidden = false;
  setText($("alerts-count"), "?");
}

function show(answer) {
  const alerts = (answer.data?.alerts ?? answer.alerts ?? []).filter((alert) => alert.status !== "resolved");
  alerts.sort((a, b) => (rank[severity(a)] ?? 2) - (rank[severity(b)] ?? 2));
  $("alerts-note").classList.remove("bad");
  setText($("alerts-note"), alerts.length === 0 ? "nothing fires" : `${alerts.length} firing`);
  $("alerts-count").hidden = alerts.length === 0;
  setText($("alerts-count"), alerts.length);
  const make = () => h("li", {}, h("span", { class: "state" }), h("strong"), h("span", { class: "summary" }), h("span", { class: "since" }), h("a", { text: "Runbook", rel: "noreferrer" }));
  sync($("alerts-list"), alerts, make, (item, alert) => {
    const [state, name, summary, since, link] = item.children;
    setState(state, severity(alert) === "critical" ? "unhealthy" : "degraded", severity(alert));
    setText(name, alert.name ?? alert.labels?.alertname ?? "?");
    setText(summary, alert.annotations?.summary ?? alert.summary ?? alert.message ?? "");
    const began = Date.parse(alert.starts_at ?? alert.startsAt ?? "");
    setText(since, Number.isNaN(began) ? "" : `for ${duration((Date.now() - began) / 1000)}`);
    const runbook = alert.annotations?.runbook_url ?? alert.runbook_url;
    link.hidden = !/^https?:/.test(runbook ?? "");
    if (!link.hidden) link.href = runbook;
  });
}

const severity = (alert) => alert.severity ?? alert.labels?.severity ?? "unknown";
