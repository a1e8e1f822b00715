// What every page shares: calls of the API, elements made without markup, and the head of the page.

const KEY = "freshslate-key";
const PAGES = [
  ["shop", "Shop"],
  ["live", "Live"],
  ["shopper", "Shopper"],
  ["items", "Items"],
  ["policies", "Policies"],
  ["letters", "Dead letters"],
];

/** An element. Text stays text: nothing that an event or an item says is ever read as markup. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/** Put these in place of what is there. */
export function show(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
}

export class ApiError extends Error {
  constructor(status, body) {
    super(body.detail || body.reason || `HTTP ${status}`);
    this.status = status;
    this.reason = body.reason || "";
  }
}

function headers(more = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...more, Authorization: `Bearer ${key}` } : more;
}

/** Call the API; what it answers, or an ApiError that says why not. */
export async function call(path, { method = "GET", body, signal } = {}) {
  const asked = { method, signal, headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }) };
  if (body !== undefined) asked.body = JSON.stringify(body);
  const answer = await fetch(path, asked);
  const text = await answer.text();
  let told = {};
  try {
    told = text ? JSON.parse(text) : {};
  } catch {
    told = { detail: text.slice(0, 200) };
  }
  if (answer.status === 401) askForKey(told.detail);
  if (!answer.ok) throw new ApiError(answer.status, told);
  return told;
}

/** Follow server-sent events for ever, again after a pause where the line breaks; stops with the signal. */
export async function follow(path, onEvent, signal) {
  while (!signal.aborted) {
    try {
      const answer = await fetch(path, { headers: headers({ Accept: "text/event-stream" }), signal });
      if (answer.status === 401) askForKey("");
      if (!answer.ok) throw new ApiError(answer.status, {});
      await read(answer.body.pipeThrough(new TextDecoderStream()).getReader(), onEvent);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status < 500) throw error;
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

async function read(reader, onEvent) {
  let left = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (left + value).split("\n\n");
    left = parts.pop();
    for (const part of parts) {
      const data = part.split("\n").filter((line) => line.startsWith("data: "));
      if (data.length) onEvent(JSON.parse(data.map((line) => line.slice(6)).join("\n")));
    }
  }
}

function askForKey(detail) {
  if (document.querySelector("dialog[open]")) return;
  const field = h("input", { type: "password", autocomplete: "off", id: "key" });
  const dialog = h(
    "dialog",
    { "aria-labelledby": "key-title" },
    h("h2", { id: "key-title" }, "A key is needed"),
    h("p", {}, detail || "This API lets nobody in without one. `freshslate api-key` makes keys."),
    h(
      "form",
      {
        method: "dialog",
        class: "bar",
        onsubmit: () => {
          sessionStorage.setItem(KEY, field.value.trim());
          location.reload();
        },
      },
      h("label", { for: "key" }, "Key (kept until this tab is closed)", field),
      h("button", { class: "main" }, "Use it"),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

/** The head of a page: its name, and the way to the others. */
export function head(current) {
  const links = PAGES.map(([name, title]) =>
    h("a", { href: `/console/${name}`, "aria-current": name === current ? "page" : null }, title),
  );
  document.body.prepend(
    h("a", { class: "skip", href: "#main" }, "To the content"),
    h("header", { class: "top" }, h("strong", {}, "Freshslate"), h("nav", { "aria-label": "Pages" }, links)),
  );
}

/** Say what went wrong, where people look. */
export function complain(place, error) {
  show(place, h("p", { class: "note bad", role: "alert" }, error.message));
}

export const number = (value, digits = 0) =>
  value === null || value === undefined || Number.isNaN(value)
    ? "–"
    : value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: digits });
export const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : `${number(100 * value, digits)} %`);
export const when = (ms) => (ms ? new Date(ms).toLocaleString("en-GB", { hour12: false }) : "–");
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB", { hour12: false });

/** A table with a caption for who cannot see it; cells are text, numbers or elements. */
export function table(caption, columns, rows) {
  const cls = (column) => (column.number ? "number" : null);
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: cls(column) }, column.title)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell, n) => h("td", { class: cls(columns[n]) }, cell))))),
    ),
  );
}

/** Do it again and again while the page is looked at; the first time at once. */
export function every(seconds, work) {
  let running = false;
  const step = async () => {
    if (running || document.hidden) return;
    running = true;
    try {
      await work();
    } finally {
      running = false;
    }
  };
  step();
  return setInterval(step, seconds * 1000);
}
