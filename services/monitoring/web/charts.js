// The charts: thin wrappers of uPlot that follow the theme and the width of their box. Prices are numbers here, for pixels
// only; what can be read off as text stays the exchange's own digits.

/* global uPlot */

import { clock } from "./format.js";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Makes a chart and makes it anew when the theme changes; returns what shows new data. */
function chart(box, height, options) {
  let plot, data;
  const draw = () => {
    if (!data || box.clientWidth === 0) return;
    if (plot) return plot.setData(data);
    plot = new uPlot({ width: box.clientWidth, height, ...options() }, data, box);
  };
  const anew = () => { plot?.destroy(); plot = undefined; draw(); };
  window.addEventListener("themechange", () => requestAnimationFrame(anew));
  new ResizeObserver(() => (plot ? plot.setSize({ width: box.clientWidth, height }) : draw())).observe(box);
  return (next) => { data = next; draw(); };
}

/** Labels of the x axis have room beside each other; `values` words them. */
function axes(values, size = 56) {
  const common = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return [{ ...common, size: 24, space: 96, values }, { ...common, size }];
}

/** A line without axes, for the history of one number. */
export function spark(box) {
  const show = chart(box, 26, () => ({
    legend: { show: false }, cursor: { show: false }, padding: [2, 0, 2, 0],
    axes: [{ show: false }, { show: false }],
    scales: { x: { time: false }, y: { range: (_, low, high) => [0, Math.max(high, 1)] } },
    series: [{}, { stroke: css("--accent"), fill: css("--accent-wash"), width: 1.25, points: { show: false } }],
  }));
  return (values) => show([values.map((_, at) => at), values]);
}

/** Cumulated quantity by price, bids to the left, asks to the right. */
export function depth(box) {
  const stepped = (align) => uPlot.paths.stepped({ align });
  const show = chart(box, 190, () => ({
    legend: { show: false }, cursor: { y: false }, axes: axes(),
    scales: { x: { time: false }, y: { range: (_, low, high) => [0, high || 1] } },
    series: [
      {},
      { stroke: css("--bid"), fill: css("--bid-wash"), width: 1.5, paths: stepped(-1), points: { show: false } },
      { stroke: css("--ask"), fill: css("--ask-wash"), width: 1.5, paths: stepped(1), points: { show: false } },
    ],
  }));
  return (bids, asks) => {
    const summed = (levels) => { let sum = 0; return levels.map(([price, quantity]) => [Number(price), (sum += Number(quantity))]); };
    const left = summed(bids).reverse(), right = summed(asks);
    const none = (levels) => levels.map(() => null);
    show([
      [...left, ...right].map(([price]) => price),
      [...left.map(([, sum]) => sum), ...none(right)],
      [...none(left), ...right.map(([, sum]) => sum)],
    ]);
  };
}

/** Best bid and best ask by time. */
export function prices(box) {
  const line = (color) => ({ stroke: css(color), width: 1.25, points: { show: false } });
  const show = chart(box, 170, () => ({
    legend: { show: false }, cursor: { y: false }, axes: axes((_, times) => times.map((seconds) => clock(seconds * 1e6)), 72),
    series: [{}, line("--bid"), line("--ask")],
  }));
  return (points) => show([points.map((one) => one.time), points.map((one) => one.bid), points.map((one) => one.ask)]);
}
