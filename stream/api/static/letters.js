// Dead letters: what waits and why; send again or drop the chosen ones.

import { call, complain, h, head, number, show, table, when } from "./app.js";

const $ = (id) => document.getElementById(id);
const chosen = new Set();

head("letters");

function pick(letter) {
  return h("input", {
    type: "checkbox",
    "aria-label": `Choose letter ${letter.letter}`,
    onchange: (event) => {
      if (event.target.checked) chosen.add(letter.letter);
      else chosen.delete(letter.letter);
      enable();
    },
  });
}

function enable() {
  for (const id of ["redrive", "drop"]) $(id).disabled = chosen.size === 0;
}

const text = (value) => (value === null || typeof value === "string" ? value ?? "" : JSON.stringify(value));

async function look() {
  chosen.clear();
  enable();
  const reason = $("reason").value;
  try {
    const told = await call(`/v1/dead-letters?limit=100${reason ? `&reason=${encodeURIComponent(reason)}` : ""}`);
    show($("counts"), counts(told));
    const columns = [{ title: "" }, { title: "Letter" }, { title: "Written" }, { title: "Reason" }, { title: "What is wrong" }, { title: "Payload" }];
    const rows = told.letters.map((letter) => [
      pick(letter),
      letter.letter,
      when(letter.time),
      letter.reason,
      letter.exception || "",
      h("details", {}, h("summary", {}, `key ${text(letter.key)}`), h("pre", {}, text(letter.value))),
    ]);
    show($("letters"), rows.length ? table("Dead letters", columns, rows) : h("p", { class: "soft" }, "Nothing waits."));
    if (!reason) show($("reason"), h("option", { value: "" }, "All"), [...new Set(told.counts.map((each) => each.reason))].map((name) => h("option", { value: name }, name)));
    return true;
  } catch (error) {
    complain($("said"), error);
    return false;
  }
}

function counts(told) {
  const columns = [{ title: "Topic" }, { title: "Reason" }, { title: "Would be refused again" }, { title: "Letters", number: true }];
  const rows = told.counts.map((each) => [each.topic, each.reason, each.refused_again || "no", number(each.letters)]);
  return h(
    "div",
    {},
    h("p", {}, `${number(told.waiting)} wait, ${number(told.redriven)} were sent again, ${number(told.dropped)} were dropped.`),
    rows.length ? table("Dead letters by reason", columns, rows) : null,
  );
}

async function act(what, words) {
  const ids = [...chosen];
  if (what === "drop" && !confirm(`Drop ${ids.length} dead letters?`)) return;
  try {
    const told = await call(`/v1/dead-letters/${what}`, { method: "POST", body: { ids } });
    const kept = told.kept ? `; ${number(told.kept)} stay, they would be refused again` : "";
    await look();
    show($("said"), h("p", { class: "note", role: "status" }, `${number(told.letters)} ${words}${kept}`));
  } catch (error) {
    complain($("said"), error);
  }
}

$("reason").addEventListener("change", look);
$("again").addEventListener("click", look);
$("redrive").addEventListener("click", () => act("redrive", "sent again"));
$("drop").addEventListener("click", () => act("drop", "dropped"));
look();
