"use strict";
// The charts, the contact list and its CSV. Without this script the page shows pictures and the
// first rows.

const read = (id) => JSON.parse(document.getElementById(id).textContent);

function drawCharts(specs) {
  for (const place of document.querySelectorAll("[data-chart]")) {
    const still = place.innerHTML;
    vegaEmbed(place, specs[place.dataset.chart], { actions: false, renderer: "svg" })
      .then(() => place.classList.add("drawn"))
      .catch((error) => {
        place.innerHTML = still;
        console.error(place.dataset.chart, error);
      });
  }
}

// An apostrophe wherever in a text a spreadsheet would find a formula, as in spreadsheet.py.
const FORMULA =
  '(?=[\\s"\\u0000-\\u001f\\u0085\\u00ad\\u180e\\u200b-\\u200f\\u2060]*' +
  "[=+\\-@\\ufe62\\ufe63\\ufe66\\ufe6b\\uff0b\\uff0d\\uff1d\\uff20])";
const BEGINS = new RegExp("^[\\t\\r\\n]|^" + FORMULA);
const BEHIND = new RegExp("([;\\t])" + FORMULA, "g");

function csvCell(value) {
  let text = String(value);
  if (typeof value !== "number") {
    text = (BEGINS.test(text) ? "'" : "") + text.replace(BEHIND, "$1'");
  }
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvOf({ columns, rows }) {
  const reasons = ["reason 1", "reason 2", "reason 3"];
  const lines = [[...columns.slice(0, 5), ...reasons]];
  for (const row of rows) lines.push([...row.slice(0, 5), ...reasons.map((_, i) => row[5][i] ?? "")]);
  return lines.map((line) => line.map(csvCell).join(",")).join("\r\n") + "\r\n";
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function rowOf(row, columns) {
  const [priority, user, , level, , reasons, risk, value] = row;
  const made = document.createElement("tr");
  const cells = [priority, user, risk, level, value];
  cells.forEach((text, index) => {
    const cell = element(index === 1 ? "th" : "td", "", { "data-label": columns[index] });
    if (index === 1) cell.scope = "row";
    if ([0, 2, 4].includes(index)) cell.className = "figure";
    cell.append(element("bdi", text));
    made.append(cell);
  });
  const told = element("td", "", { "data-label": columns[5] });
  const list = document.createElement("ul");
  for (const reason of reasons) {
    const item = document.createElement("li");
    item.append(element("bdi", reason));
    list.append(item);
  }
  told.append(list);
  made.append(told);
  return made;
}

function compare(one, other) {
  return typeof one === "number" ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
}

function showContacts(box, { columns, rows, first, file }) {
  const body = box.querySelector("tbody");
  const more = box.querySelector(".more");
  const search = box.querySelector("input");
  const state = { column: 0, down: false, count: first };

  function found() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter((row) => {
      const text = [row[1], row[3], ...row[5]].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    const turn = state.down ? -1 : 1;
    return kept.sort((a, b) => turn * compare(a[state.column], b[state.column]));
  }

  function show() {
    const kept = found();
    body.replaceChildren(...kept.slice(0, state.count).map((row) => rowOf(row, columns)));
    more.hidden = kept.length <= state.count;
    box.querySelector(".count").textContent =
      `${kept.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} user${rows.length === 1 ? "" : "s"}`;
  }

  for (const head of box.querySelectorAll("th[data-column]")) {
    const column = Number(head.dataset.column);
    if (column === 5) continue;
    const button = element("button", head.textContent, { type: "button" });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      state.down = state.column === column ? !state.down : [2, 4].includes(column);
      state.column = column;
      for (const each of box.querySelectorAll("thead th")) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      show();
    });
  }
  search.addEventListener("input", () => { state.count = first; show(); });
  more.addEventListener("click", () => {
    const before = body.rows.length;
    state.count += 100;
    show();
    // The button may be gone, and the keyboard with it: it goes on where the new rows begin.
    body.rows[before].tabIndex = -1;
    body.rows[before].focus();
  });
  // On paper there is nothing to press.
  let before = first;
  addEventListener("beforeprint", () => { before = state.count; state.count = rows.length; show(); });
  addEventListener("afterprint", () => { state.count = before; show(); });
  box.querySelector(".save").addEventListener("click", () => {
    // With the mark, spreadsheets read it as UTF-8.
    const url = URL.createObjectURL(new Blob(["\ufeff", csvOf({ columns, rows: found() })], { type: "text/csv" }));
    element("a", "", { href: url, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  box.querySelector("thead th").setAttribute("aria-sort", "ascending");
  box.querySelector(".tools").hidden = false;
  show();
}

// On paper nothing can be opened.
function openForPaper() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => { for (const each of opened) each.open = false; });
}

drawCharts(read("specs"));
openForPaper();
const contacts = document.getElementById("contacts");
if (contacts) showContacts(contacts, read("contact-rows"));
