// Policies in force, what was learned, and what another policy would earn by the log.

import { call, complain, every, h, head, number, percent, show, table } from "./app.js";

const $ = (id) => document.getElementById(id);
const SHOWN = 12;

head("policies");

function force(found) {
  const total = found.reduce((sum, each) => sum + each.slates, 0);
  const columns = [{ title: "Policy" }, { title: "Share of slates" }, { title: "Clicked", number: true }, { title: "Explored", number: true }];
  const rows = found.map((each) => [
    each.policy,
    h("span", {}, h("meter", { min: 0, max: 1, value: each.slates / total, "aria-label": "share of slates" }), ` ${percent(each.slates / total)}`),
    `${percent(each.click_rate.share, 2)} (${percent(each.click_rate.low, 2)} to ${percent(each.click_rate.high, 2)})`,
    percent(each.exploration),
  ]);
  return found.length ? table("Policies in force", columns, rows) : h("p", { class: "soft" }, "No slate yet.");
}

function beliefs(told) {
  if (!told.version) return h("p", { class: "soft" }, "Nothing has matured yet: learning policies go by the blend's score.");
  const columns = [{ title: "What it sees" }, { title: "Weight", number: true }, { title: "± (standard deviation)", number: true }];
  return Object.entries(told.by_scenario).map(([name, each]) =>
    h(
      "section",
      { class: "card" },
      h("h3", {}, name || "all scenarios", " ", h("span", { class: "soft" }, `${number(each.exposures)} exposures`)),
      table(
        `Weights of ${name || "all scenarios"}`,
        columns,
        each.weights.slice(0, SHOWN).map((weight) => [weight.name.replaceAll("_", " "), weight.mean.toPrecision(3), weight.sd.toPrecision(2)]),
      ),
    ),
  );
}

// An interval, from one end to the other; a dash where there is none.
const range = (ends) => (ends ? `${number(ends[0], 4)} to ${number(ends[1], 4)}` : "–");

function judged(told) {
  const columns = [{ title: "Estimator" }, { title: "Reward a slate", number: true }, { title: "95 % interval, or why there is none" }];
  const { estimates, logged, supported_positions: supported } = told.whole;
  const rows = Object.entries(estimates || {}).map(([name, each]) => [
    name,
    each.value === null ? "refused" : number(each.value, 4),
    each.ci95 ? range(each.ci95) : each.refused || "–",
  ]);
  rows.unshift(["what was logged", number(logged.value, 4), range(logged.ci95)]);
  return h(
    "div",
    { class: "card" },
    h("h3", {}, told.asked.policy, " ", h("span", { class: "soft" }, `${number(told.slates)} slates, ${told.positions} positions`)),
    supported && supported < told.positions ? fewer(supported) : null,
    table("Estimates", columns, rows),
    h("details", {}, h("summary", {}, "All of it"), h("pre", {}, JSON.stringify(told, null, 2))),
  );
}

// The log can answer for the top of the slates, where it cannot for all of them.
function fewer(positions) {
  const again = () => {
    $("positions").value = positions;
    $("judge").requestSubmit();
  };
  const button = h("button", { type: "button", onclick: again }, `Judge the first ${positions}`);
  return h("p", {}, "Slates differ too much further down: the log answers for their top. ", button);
}

async function look() {
  try {
    const told = await call("/v1/policies");
    show($("force"), force(told.policies));
    show($("beliefs"), beliefs(told.beliefs));
  } catch (error) {
    complain($("said"), error);
  }
}

$("judge").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("go").disabled = true;
  show($("judged"), h("p", { class: "soft", role: "status" }, "Reading the log …"));
  try {
    const positions = Number($("positions").value) || null;
    const body = { policy: $("policy").value.trim(), hours: Number($("hours").value), mature_seconds: Number($("mature").value), positions };
    show($("judged"), judged(await call("/v1/policies/judge", { method: "POST", body })));
  } catch (error) {
    complain($("judged"), error);
  }
  $("go").disabled = false;
});
every(5, look);
