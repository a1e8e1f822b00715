// The catalogue, and what each item was shown and earned.

import { call, complain, h, head, number, show, table } from "./app.js";

const $ = (id) => document.getElementById(id);
const PAGE = 50;
let start = 0;

head("items");

async function look() {
  const asked = new URLSearchParams({ limit: PAGE, offset: start, query: $("query").value.trim(), category: $("category").value });
  try {
    const told = await call(`/v1/items?${asked}`);
    const ids = told.items.map((item) => `id=${encodeURIComponent(item.item_id)}`).join("&");
    const counts = ids ? await call(`/v1/live/items?${ids}`) : {};
    const columns = [
      { title: "Item" },
      { title: "Title" },
      { title: "Category" },
      { title: "Price", number: true },
      { title: "Available" },
      { title: "Shown", number: true },
      { title: "Rewards", number: true },
      { title: "Reward per 1,000 shown", number: true },
    ];
    const rows = told.items.map((item) => {
      const count = counts[item.item_id] || { shown: 0, rewards: 0, reward: 0 };
      const each = count.shown ? number((1000 * count.reward) / count.shown, 1) : "–";
      return [item.item_id, item.title || "", item.category || "", number(item.price, 2), item.available ? "yes" : "no", number(count.shown), number(count.rewards), each];
    });
    show($("items"), table("Items", columns, rows));
    $("found").textContent = `${number(told.total)} items; counts since this process began to follow the log`;
    $("before").disabled = start === 0;
    $("next").disabled = start + PAGE >= told.total;
    if ($("category").options.length === 1) for (const name of told.categories) $("category").append(h("option", { value: name }, name));
    show($("said"));
  } catch (error) {
    complain($("said"), error);
  }
}

const turn = (by) => () => {
  start = Math.max(0, start + by);
  look();
};
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  start = 0;
  look();
});
$("category").addEventListener("change", () => {
  start = 0;
  look();
});
$("before").addEventListener("click", turn(-PAGE));
$("next").addEventListener("click", turn(PAGE));
look();
