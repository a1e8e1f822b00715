// A shopper's timeline: events, sessions, what changed in the list, and what it earned.

import { call, complain, h, head, number, percent, show, table, when } from "./app.js";

const $ = (id) => document.getElementById(id);
let told = null;

head("shopper");

function line(step) {
  const event = step.event || {};
  const items = (event.items || []).map((item) => item.item_id).join(", ") || event.item_id || event.query || "";
  const kind = step.kind === "event" ? (event.type || "").replaceAll("_", " ") : step.kind.replaceAll("_", " ");
  return h(
    "article",
    { class: "card" },
    h("h3", {}, kind, " ", h("span", { class: "soft" }, `${items} · ${when(event.time || step.origin?.time)}`)),
    step.reason ? h("p", { class: "bad" }, `${step.reason}: ${step.detail}`) : null,
    ...(step.rewards || []).map((reward) => h("p", { class: "good" }, `reward ${number(reward.reward, 2)}: ${reward.type} on ${reward.item_id}, place ${reward.position} of ${reward.slate_id}, propensity ${percent(reward.propensity)}`)),
    step.slate ? slate(step.slate) : step.is_unanswered ? h("p", { class: "bad" }, "no slate was published") : null,
    h("details", {}, h("summary", {}, "All of it"), h("pre", {}, JSON.stringify(step, null, 2))),
  );
}

function slate(found) {
  const columns = [
    { title: "Place", number: true },
    { title: "Item" },
    { title: "Moved" },
    { title: "Score", number: true },
    { title: "Propensity", number: true },
    { title: "Sources" },
  ];
  const rows = found.items.map((item) => [
    number(item.position),
    item.item_id,
    item.move === undefined ? "" : String(item.move ?? ""),
    item.score.toPrecision(3),
    percent(item.propensity),
    (item.sources || []).map((source) => `${source.name.replaceAll("_", " ")} ${source.score.toPrecision(2)}`).join(", "),
  ]);
  const left = (found.left || []).length ? `left: ${found.left.join(", ")}` : "";
  return h(
    "div",
    {},
    h("p", {}, `slate ${found.slate_id}, policy ${found.policy}, after ${number(found.took_ms)} ms `, h("button", { onclick: (event) => why(found.slate_id, event.target) }, "Why did this list change?")),
    left ? h("p", { class: "soft" }, left) : null,
    table(`Slate ${found.slate_id}`, columns, rows),
  );
}

async function why(slateId, button) {
  button.disabled = true;
  try {
    const explained = await call(`/v1/slates/${encodeURIComponent(slateId)}/why`);
    button.parentElement.after(h("pre", {}, JSON.stringify(explained, null, 2)));
  } catch (error) {
    complain($("said"), error);
  }
}

async function ask() {
  const user = $("user").value.trim();
  if (!user) return;
  show($("said"), h("p", { class: "soft" }, "Reading the log …"));
  try {
    told = await call(`/v1/users/${encodeURIComponent(user)}/timeline?limit=${encodeURIComponent($("limit").value || 50)}`);
    const { steps, ...rest } = told;
    show($("said"), h("p", { class: "soft" }, summary(rest, steps)));
    show($("steps"), [...steps].reverse().map(line));
    $("export").disabled = false;
    history.replaceState(null, "", `?user=${encodeURIComponent(user)}`);
  } catch (error) {
    show($("steps"));
    complain($("said"), error);
  }
}

function summary(rest, steps) {
  const gone = rest.is_complete ? "" : "; older ones are gone from the log";
  const waiting = rest.waiting ? `; ${number(rest.waiting)} wait for a worker` : "";
  return `${number(steps.length)} of ${number(rest.total)} steps, newest first${gone}${waiting}`;
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
$("export").addEventListener("click", () => {
  const url = URL.createObjectURL(new Blob([JSON.stringify(told, null, 2)], { type: "application/json" }));
  h("a", { href: url, download: `${$("user").value}.json` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
});
const given = new URLSearchParams(location.search).get("user") || sessionStorage.getItem("freshslate-shopper");
if (given) {
  $("user").value = given;
  ask();
}
