// The storefront: what a shopper does goes out as events, and slates come back as they are published.

import { call, clock, complain, follow, h, head, number, percent, show, svg } from "./app.js";

const SHOWN = 24;
const USER = "freshslate-shopper";
const $ = (id) => document.getElementById(id);

let user = sessionStorage.getItem(USER) || `visitor-${Math.random().toString(36).slice(2, 8)}`;
let slate = null;
let stop = new AbortController();
let category = "";
let query = "";
let shown = 0;
const sent = new Map(); // event id → when it was sent, ms of this page's clock
const items = new Map(); // item id → what the catalogue says

head("shop");
$("user").value = user;

/** A picture of an item: shapes and colours by its name and category, so that likes look alike. */
function picture(item) {
  const hash = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) >>> 0, 7);
  const hue = hash(item.category || item.item_id) % 360;
  const own = hash(item.item_id);
  const shape = hash(item.category || "") % 3;
  const place = { cx: 45 + (own % 70), cy: 45 + ((own >>> 7) % 30), r: 22 + ((own >>> 13) % 18) };
  const fill = `hsl(${hue} 60% ${38 + (own % 20)}%)`;
  const shapes = [
    () => svg("circle", { ...place, fill }),
    () => svg("rect", { x: place.cx - place.r, y: place.cy - place.r, width: 2 * place.r, height: 1.6 * place.r, rx: 8, fill }),
    () => svg("path", { d: `M${place.cx} ${place.cy - place.r} l${place.r} ${1.7 * place.r} h${-2 * place.r} z`, fill }),
  ];
  return svg(
    "svg",
    { viewBox: "0 0 160 120", class: "picture", "aria-hidden": "true", focusable: "false" },
    svg("rect", { width: 160, height: 120, fill: `hsl(${hue} 45% 85%)` }),
    svg("circle", { cx: 160 - place.cx, cy: 90, r: 14, fill: `hsl(${(hue + 40) % 360} 55% 70%)` }),
    shapes[shape](),
  );
}

const known = (id) => items.get(id) || { item_id: id, title: id };
const money = (value) => (value === null || value === undefined ? "" : number(value, 2));

/** Send what the shopper did; the slate that answers it comes by the stream. */
async function did(type, fields) {
  const event_id = crypto.randomUUID ? crypto.randomUUID() : `${Date.now()}-${Math.random()}`;
  sent.set(event_id, performance.now());
  saw(type, fields);
  try {
    await call("/v1/events", { method: "POST", body: { event_id, type, user_id: user, time: Date.now(), ...fields } });
    show($("said"));
  } catch (error) {
    complain($("said"), error);
  }
}

function saw(type, fields) {
  const what = fields.query ?? (fields.item_id ? known(fields.item_id).title || fields.item_id : "");
  $("seen").prepend(h("li", {}, h("strong", {}, type.replaceAll("_", " ")), ` ${what} `, h("span", { class: "soft" }, clock(Date.now()))));
  while ($("seen").children.length > 12) $("seen").lastChild.remove();
}

function tile(item, place = {}) {
  const act = (type, more = {}) => () => did(type, { item_id: item.item_id, ...place, ...more });
  const price = item.price === null || item.price === undefined ? {} : { price: item.price, value: item.price, currency: "EUR" };
  const name = item.title || item.item_id;
  return h(
    "li",
    { class: "card tile", "data-item": item.item_id, "data-category": item.category || "" },
    picture(item),
    h("button", { class: "open", onclick: act(place.slate_id ? "click" : "view") }, name),
    h("span", { class: "soft" }, [item.category, money(item.price)].filter(Boolean).join(" · ")),
    h(
      "span",
      { class: "acts" },
      h("button", { "aria-label": `Put ${name} into the cart`, onclick: act("add_to_cart") }, "Cart"),
      h("button", { "aria-label": `Buy ${name}`, onclick: act("purchase", bought(item, price)) }, "Buy"),
    ),
  );
}

function bought(item, price) {
  const { price: each, ...rest } = price;
  return { ...rest, item_id: undefined, items: [{ item_id: item.item_id, quantity: 1, price: each }] };
}

async function learn(ids) {
  const missing = ids.filter((id) => !items.has(id));
  if (!missing.length) return;
  const asked = missing.map((id) => `id=${encodeURIComponent(id)}`).join("&");
  for (const item of (await call(`/v1/items?${asked}`)).items) items.set(item.item_id, item);
}

async function draw(next) {
  await learn(next.items.map((item) => item.item_id));
  const before = new Set((slate?.items || []).map((item) => item.item_id));
  slate = next;
  const place = (item) => (next.slate_id ? { slate_id: next.slate_id, position: item.position } : {});
  show($("row"), next.items.map((item) => tile(known(item.item_id), place(item))));
  show($("why"), reasons(next, before));
  const at = sent.get(next.trigger_event_id);
  if (at !== undefined) {
    sent.delete(next.trigger_event_id);
    $("badge").textContent = `${Math.round(performance.now() - at)} ms`;
    $("badge").title = "From your click, over the API, Kafka and a worker, until this row was here";
  } else if (next.kind === "popular") {
    $("badge").textContent = "popular";
    $("badge").title = "Nothing is known of you yet";
  }
}

function reasons(next, before) {
  const top = Math.max(...next.items.map((item) => item.score), 1e-9);
  return h(
    "div",
    {},
    h("p", { class: "soft" }, `policy ${next.policy}, scenario ${next.scenario}`),
    next.slate_id && h("p", {}, h("button", { onclick: (event) => explain(next.slate_id, event.target) }, "Explain with neighbours")),
    h(
      "ol",
      { class: "why", id: "reasons" },
      next.items.map((item) =>
        h(
          "li",
          { "data-item": item.item_id },
          h("strong", {}, known(item.item_id).title || item.item_id),
          before.size && !before.has(item.item_id) ? h("span", { class: "good" }, " new") : null,
          h("br"),
          h("meter", { min: 0, max: top, value: item.score, "aria-label": "score" }),
          ` ${item.score.toPrecision(3)}, shown with probability ${percent(item.propensity)}`,
          h("br"),
          h("span", { class: "soft" }, item.sources.map((source) => `${source.name.replaceAll("_", " ")} ${source.score.toPrecision(2)}`).join(", ") || "explored"),
        ),
      ),
    ),
  );
}

async function explain(slateId, button) {
  button.disabled = true;
  try {
    const told = await call(`/v1/slates/${encodeURIComponent(slateId)}/why?profile=now`);
    await learn(told.why.flatMap((each) => each.sessions.flatMap((session) => session.common)).slice(0, 100));
    const lines = [...document.querySelectorAll("#reasons > li")];
    for (const each of told.why) {
      const line = lines.find((li) => li.dataset.item === each.item_id);
      if (line) line.append(h("ul", {}, words(each).map((text) => h("li", {}, text))));
    }
    if (!told.why.length) throw new Error("There is no profile of this shopper yet.");
  } catch (error) {
    complain($("said"), error);
  }
}

/** An explanation in words, by the models of now. */
function words(why) {
  const titles = (ids) => ids.map((id) => known(id).title || id).join(", ");
  const told = [];
  for (const session of why.sessions.slice(0, 3)) told.push(`a shopper with ${titles(session.common)} also had it`);
  if (why.session_count > 3) told.push(`and ${number(why.session_count - 3)} more sessions like yours`);
  for (const rule of why.rules.slice(0, 2)) told.push(`often seen together with ${titles([rule.item_id])}`);
  for (const hop of why.two_hops.slice(0, 1)) told.push(`two steps from ${titles([hop.item_id])}`);
  for (const alike of why.alike.slice(0, 1)) told.push(`like ${titles([alike.item_id])} by what the catalogue says`);
  if (why.history) told.push("you turned to it before");
  if (why.popularity) told.push(`number ${why.popularity.rank} of the popular ones`);
  if (why.category) told.push(`number ${why.category.rank} of its category`);
  return told.length ? told : ["explored: nobody speaks for it"];
}

async function find(more = false) {
  if (!more) shown = 0;
  const asked = new URLSearchParams({ limit: SHOWN, offset: shown });
  if (query) asked.set("query", query);
  if (category) asked.set("category", category);
  try {
    const told = await call(`/v1/items?${asked}`);
    for (const item of told.items) items.set(item.item_id, item);
    const tiles = told.items.map((item) => tile(item));
    if (more) $("grid").append(...tiles);
    else show($("grid"), tiles);
    shown += told.items.length;
    $("more").hidden = shown >= told.total;
    $("found").textContent = `${number(told.total)} products`;
    if (!$("categories").children.length) chips(told.categories);
  } catch (error) {
    complain($("said"), error);
  }
}

function chips(categories) {
  const chip = (name, label) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(name === category),
        onclick: (event) => {
          category = name;
          for (const each of $("categories").children) each.setAttribute("aria-pressed", String(each === event.target));
          find();
        },
      },
      label,
    );
  show($("categories"), chip("", "All"), categories.map((name) => chip(name, name)));
}

async function be(next) {
  user = next;
  sessionStorage.setItem(USER, user);
  $("user").value = user;
  $("badge").textContent = "";
  slate = null;
  stop.abort();
  stop = new AbortController();
  show($("seen"));
  try {
    await draw(await call(`/v1/slates/${encodeURIComponent(user)}`));
    follow(`/v1/stream/slates?user=${encodeURIComponent(user)}`, draw, stop.signal).catch((error) => complain($("said"), error));
  } catch (error) {
    complain($("said"), error);
  }
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  query = $("query").value.trim();
  if (query) did("search", { query });
  find();
});
$("visitor").addEventListener("submit", (event) => {
  event.preventDefault();
  if ($("user").value.trim()) be($("user").value.trim());
});
$("more").addEventListener("click", () => find(true));
find().then(() => be(user));
