// Elements, and everything foreign as text: nothing here takes markup.

// Characters that would change how the text around them looks are written out.
const ODD = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
export function shown(text) {
  return String(text).replace(ODD, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : shown(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(shown(child)));
  }
  return element;
}
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

export function say(text) {
  document.getElementById("spoken").textContent = shown(text);
}

// Times are the reader's; the title has them as everybody's.
export function when(seconds) {
  if (!seconds) return "-";
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "-";
  const two = (n) => String(n).padStart(2, "0");
  const text = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ` +
    `${two(date.getHours())}:${two(date.getMinutes())}`;
  const utc = date.toISOString().slice(0, 19) + "Z";
  return h("time", { datetime: utc, title: utc }, text);
}
export function bytes(n) {
  if (n < 1024) return `${n} B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let k = -1;
  do { n /= 1024; k += 1; } while (n >= 1024 && k < 3);
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${units[k]}`;
}
export function duration(seconds) {
  if (seconds < 0.001) return "0 s";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
export const count = (n) => Number(n).toLocaleString("en");

export function panel(title, sub, ...children) {
  return h("section", { class: "panel", "aria-label": title },
    h("div", { class: "title" }, h("h2", {}, title), sub ? h("p", { class: "sub" }, sub) : null), children);
}
export const body = (...children) => h("div", { class: "body" }, children);
export function notice(kind, text, ...rest) {
  return h("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : "note" }, h("p", {}, text), rest);
}
export const remedy = (text) => (text ? h("p", { class: "remedy" }, text) : null);
export function failure(error, again) {
  return notice("bad", error.message || "It failed.", remedy(error.remedy),
    again ? h("p", {}, h("button", { type: "button", onclick: again }, "Try again")) : null);
}
export const command = (text) => h("pre", { class: "command", tabindex: "0", "aria-label": "command" }, text);

/// columns: [title, cell(row), class]; the first is the row's header.
export function table(caption, columns, rows) {
  return h("div", { class: "scroll" }, h("table", { class: "stack", "aria-label": caption },
    h("thead", {}, h("tr", {}, columns.map(([title, , kind]) => h("th", { scope: "col", class: kind }, title)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(([title, cell, kind], k) =>
      k === 0 ? h("th", { scope: "row", class: kind }, cell(row))
        : h("td", { class: kind, "data-label": title }, cell(row))))))));
}

/// The one text of a proposal: {{..}} is a slot there and nothing else (public text has it written out).
export function proposalText(text, label) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(/\{\{[^\n]*?\}\}/g)) {
    parts.push(text.slice(at, found.index), h("mark", { class: "slot" }, found[0]));
    at = found.index + found[0].length;
  }
  parts.push(text.slice(at));
  return h("pre", { tabindex: "0", role: "region", "aria-label": label }, parts);
}

const STATES = {
  done: "good", ready: "busy", running: "busy", complete: "warn", proposed: "warn", rejected: "bad", failed: "bad",
  refused: "bad", unknown: "bad", void: "bad", withdrawn: "", expired: "", "nothing happened": "",
};
const NAMES = { complete: "waits for approvals", proposed: "waits for inputs", ready: "approved by all", unknown: "unknown: may have happened" };
export const pill = (state) => h("span", { class: `pill ${STATES[state] ?? ""}` }, NAMES[state] ?? state);
