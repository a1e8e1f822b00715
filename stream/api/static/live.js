// The last two minutes as lines, policies and what they earn, and who works.

import { call, clock, complain, every, h, head, number, percent, show, table } from "./app.js";

const $ = (id) => document.getElementById(id);
const HEIGHT = 200;
const charts = {};

head("live");

function colours() {
  const read = getComputedStyle(document.documentElement);
  return (name) => read.getPropertyValue(name).trim();
}

/** A chart in a box: made once, then given new data. */
function draw(id, lines, data, scale = {}) {
  const box = $(id);
  const width = Math.max(220, box.clientWidth);
  if (!charts[id]) {
    const colour = colours();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const time = { ...axis, space: 80, values: (_, splits) => splits.map((at) => clock(1000 * at)) };
    const series = lines.map((line) => ({ label: line.label, stroke: colour(line.colour), width: 2, fill: line.fill ? colour(line.fill) : undefined, points: { show: false } }));
    charts[id] = new uPlot({ width, height: HEIGHT, series: [{}, ...series], scales: { y: scale }, axes: [time, { ...axis, size: 70 }], cursor: { y: false } }, data, box);
  } else {
    charts[id].setData(data);
    if (charts[id].width !== width) charts[id].setSize({ width, height: HEIGHT });
  }
}

const tile = (title, value, about) => h("li", { class: "card" }, h("div", { class: "soft" }, title), h("div", { class: "big" }, value), h("div", { class: "soft" }, about));
// A logarithm has no 0.
const positive = (values) => values.map((value) => (value === 0 ? 1 : value));
const latest = (values) => [...values].reverse().find((value) => value !== null);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

async function look() {
  try {
    const told = await call("/v1/live");
    const { time, slates, p50, p99 } = told.lines;
    show(
      $("numbers"),
      tile("Slates a second", number(mean(slates.slice(-11, -1)), 1), "mean of ten seconds"),
      tile("Event to slate", `${number(latest(p50))} ms`, `99 of 100 within ${number(latest(p99))} ms`),
      tile("Workers", number(told.workers.length), told.group),
      tile("Behind", number(told.lag), "records not committed"),
    );
    draw("rate", [{ label: "slates", colour: "--accent", fill: "--tint" }], [time, slates]);
    draw("age", [{ label: "p50", colour: "--accent" }, { label: "p99", colour: "--bad" }], [time, p50, p99].map(positive), { distr: 3 });
    show($("policies"), policies(told.policies));
    show($("workers"), workers(told));
    show($("said"));
  } catch (error) {
    complain($("said"), error);
  }
}

function policies(found) {
  const columns = [
    { title: "Policy" },
    { title: "Slates", number: true },
    { title: "Clicked", number: true },
    { title: "95 % interval", number: true },
    { title: "Revenue per 1,000", number: true },
    { title: "95 % interval", number: true },
    { title: "Explored", number: true },
  ];
  const total = found.reduce((sum, each) => sum + each.slates, 0);
  const rows = found.map((each) => [
    each.policy,
    `${number(each.slates)} (${percent(each.slates / total, 0)})`,
    percent(each.click_rate.share, 2),
    `${percent(each.click_rate.low, 2)} to ${percent(each.click_rate.high, 2)}`,
    number(each.revenue_per_thousand, 1),
    each.revenue_range ? each.revenue_range.map((end) => number(end, 1)).join(" to ") : "–",
    percent(each.exploration),
  ]);
  return found.length ? table("Policies", columns, rows) : h("p", { class: "soft" }, "No slate yet.");
}

function workers(told) {
  const columns = [{ title: "Worker" }, { title: "Partitions" }, { title: "Behind", number: true }];
  const names = [...told.workers, ...(told.partitions.some((row) => !row.owner) ? [""] : [])];
  const rows = names.map((name) => {
    const mine = told.partitions.filter((row) => row.owner === name);
    const topics = [...new Set(mine.map((row) => row.topic))];
    const held = topics.map((topic) => `${topic} ${mine.filter((row) => row.topic === topic).map((row) => row.partition).join(", ")}`);
    return [name || h("span", { class: "bad" }, "nobody"), held.join("; ") || "–", number(mine.reduce((sum, row) => sum + row.lag, 0))];
  });
  return table("Workers", columns, rows);
}

every(1, look);
