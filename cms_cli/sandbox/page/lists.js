// Shows what the page has as text: totals, legend, the table of clicks, the list of events.

import { make, setText, syncChildren } from "./dom.js";
import { count, counted, money, nameOf, plainMoney } from "./money.js";
import { formatTime } from "./time.js";

const by = (id) => document.getElementById(id);
const FLASH = 2500; // milliseconds
const FEW = 25; // events that are shown until somebody asks for more
const MOST_COLUMNS = 7; // up to as many currencies have a column each
const wide = matchMedia("(min-width: 1000px)");
let all = false;

/** Show sums of revenue, one line for each currency. */
function sums(element, revenue) {
  const lines = revenue.map((each) => money(each.amount, each.currency));
  syncChildren(element, lines.length ? lines : ["–"], (_, at) => at, () => make("div"), setText);
}

export function showTotals(total) {
  setText(by("total-clicks"), count(total.clicks));
  setText(by("total-leads"), count(total.leads));
  setText(by("total-sales"), count(total.sales));
  sums(by("total-revenue"), total.revenue);
}

export function showLegend(lines, colours) {
  const swatch = (line) => make("li", {}, make("span", { className: `swatch ${colours.of(line.clickId)}` }), make("bdi", {}, line.clickId ?? "other clicks"));
  syncChildren(by("legend"), lines, (line) => `${line.clickId === null}${line.clickId}`, swatch, (item, line) => {
    item.firstElementChild.className = `swatch ${colours.of(line.clickId)}`;
  });
}

function clickRow(click, choose, columns) {
  const button = make("button", { type: "button", className: "link", title: "Show only this click" }, make("bdi", {}, click.clickId));
  button.addEventListener("click", () => choose(click.clickId));
  const cells = ["leads", "sales", ...columns, "late"].map((name) => make("td", { className: `number ${name}` }));
  return make("tr", {}, make("th", { scope: "row" }, make("div", { className: "who" }, make("span", { className: "swatch" }), button)), ...cells);
}

/** Return the revenue columns: one for each currency if they fit, so that clicks can be compared; else a single one. */
function currencyColumns(total) {
  const currencies = total.revenue.map((each) => each.currency);
  const apart = wide.matches && currencies.length > 0 && currencies.length <= MOST_COLUMNS;
  const columns = apart ? currencies : ["revenue"];
  const head = by("clicks-head");
  if (head.dataset.columns !== columns.join()) {
    head.dataset.columns = columns.join();
    const names = ["Click", "Leads", "Sales", ...(apart ? columns.map(nameOf) : ["Revenue"]), "Latest event"];
    const last = names.length - 1;
    const cell = (name, at) => make("th", { scope: "col", className: at ? (at === last ? "number late" : "number") : "" }, name);
    head.replaceChildren(...names.map(cell));
    by("clicks").replaceChildren();
  }
  return columns;
}

export function showClicks(clicks, total, colours, choose) {
  const columns = currencyColumns(total);
  syncChildren(by("clicks"), clicks, (click) => click.clickId, (click) => clickRow(click, choose, columns), (row, click) => {
    const [name, leads, sales, ...revenue] = row.children;
    const last = revenue.pop();
    name.querySelector(".swatch").className = `swatch ${colours.of(click.clickId, "none")}`;
    setText(leads, count(click.leads));
    setText(sales, count(click.sales));
    if (columns[0] === "revenue") sums(revenue[0], click.revenue);
    else revenue.forEach((cell, at) => {
      const found = click.revenue.find((each) => each.currency === columns[at]);
      setText(cell, found ? plainMoney(found.amount, found.currency) : "");
    });
    setText(last, formatTime(click.lastEventAt));
    last.title = click.lastEventAt;
  });
  const more = total.clicks - clicks.length;
  by("more-clicks").hidden = more <= 0;
  setText(by("more-clicks"), `and ${counted(more, "more click")}: filter, or see them all with cms sandbox report`);
}

/** Call back when the page's width changes the layout of the lists. */
export function whenWidthChanges(action) {
  wide.addEventListener("change", action);
}

/** Make the details of an event: each field as it was received, and the click that it is attributed to. */
function details(event, choose) {
  const only = make("button", { type: "button", className: "link" }, "Show only this click");
  only.addEventListener("click", () => choose(event.clickId));
  const facts = [
    ["attributed to", event.clickSource === "sent" ? event.clickId : `${event.clickId} (stored by a deferred lead)`],
    ...Object.entries(event.event).map(([name, value]) => [name, String(value)]),
    ["received", event.receivedAt],
    ["event id", `evt_${event.id}`],
  ];
  const list = facts.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", { dir: "auto" }, value)));
  return make("div", { className: "details" }, make("dl", {}, ...list), only);
}

function eventItem(event, choose) {
  const fields = event.event;
  const click = make("span", { className: "click" }, make("bdi", {}, event.clickId));
  if (event.clickSource === "deferred") click.append(" ", make("span", { className: "badge", title: "The click was stored by an earlier deferred lead" }, "deferred"));
  const amount = fields.amount === undefined ? "" : money(fields.amount, fields.currency);
  const summary = make("summary", {},
    make("time", { dateTime: event.receivedAt, title: event.receivedAt }, formatTime(event.receivedAt)),
    make("span", { className: `kind ${event.kind}` }, event.kind),
    make("bdi", { className: "name" }, fields.eventName),
    click,
    make("bdi", { className: "customer" }, fields.customerExternalId),
    make("span", { className: "amount number" }, amount),
  );
  const item = make("details", {}, summary);
  // Built when opened, since most never are.
  item.addEventListener("toggle", () => item.open && item.childElementCount === 1 && item.append(details(event, choose)));
  return make("li", {}, item);
}

/** @param flash Whether to highlight events that were not there before. */
export function showEvents(events, total, choose, flash) {
  const shown = all ? events : events.slice(0, FEW);
  syncChildren(by("events"), shown, (event) => `${event.id} ${event.receivedAt}`, (event) => {
    const item = eventItem(event, choose);
    if (flash) {
      item.classList.add("new");
      setTimeout(() => item.classList.remove("new"), FLASH);
    }
    return item;
  });
  by("all-events").hidden = shown.length === events.length;
  by("all-events").onclick = () => {
    all = true;
    const first = by("events").childElementCount;
    showEvents(events, total, choose, false);
    by("events").children[first].querySelector("summary").focus();
  };
  const more = total.leads + total.sales - events.length;
  by("more-events").hidden = more <= 0 || !by("all-events").hidden;
  setText(by("more-events"), `and ${counted(more, "older event")}: filter, or see them all with cms sandbox events`);
}
