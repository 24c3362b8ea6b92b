// Polls the sandbox's overview and shows it. The address bar keeps the choices.

import { Chart } from "./chart.js";
import { debounce, make, setText, syncChildren } from "./dom.js";
import { showClicks, showEvents, showLegend, showTotals, whenWidthChanges } from "./lists.js";
import { count, money, compactMoney, unitOf } from "./money.js";

const by = (id) => document.getElementById(id);
const PAUSE = 1000; // milliseconds from an answer to the next request
const LATE = 8000; // milliseconds after which a request is given up
const COLOURS = 8;

const charts = { leads: new Chart(by("leads-chart"), "Leads"), revenue: new Chart(by("revenue-chart"), "Revenue") };
const usual = { text: "", kind: "", click: "", clock: "happened", order: "sales", currency: "" };

/** Read the choices from the address. Values that the page does not offer are ignored. */
function readAddress() {
  const offered = {
    kind: [...document.getElementsByName("kind")].map((radio) => radio.value),
    clock: [...by("clock").options].map((option) => option.value),
    order: [...by("order").options].map((option) => option.value),
  };
  const fits = (name, value) => (name === "currency" ? /^[A-Z]{3}$/.test(value) : offered[name]?.includes(value) ?? true);
  const given = [...new URLSearchParams(location.search)].filter(([name, value]) => name in usual && fits(name, value));
  return { ...usual, ...Object.fromEntries(given) };
}

const chosen = readAddress();
let tag = ""; // that of the overview shown: without news the answer is short
let flash = false; // whether new events have arrived, rather than been filtered in
let paused = false;
let asking = null;
let timer = 0;

/** The colours of the clicks. Each keeps its own as long as it has a line on the charts. */
const colours = {
  slots: new Map(),
  assign(clicks) {
    for (const click of [...this.slots.keys()]) if (!clicks.includes(click)) this.slots.delete(click);
    const free = [...Array(COLOURS).keys()].filter((slot) => ![...this.slots.values()].includes(slot));
    for (const click of clicks) if (!this.slots.has(click)) this.slots.set(click, free.shift());
  },
  of(click, other = "rest") {
    return this.slots.has(click) ? `c${this.slots.get(click)}` : other;
  },
};

function overviewUrl() {
  const asked = Object.entries({ ...chosen, tag }).filter(([, value]) => value !== "");
  const steps = Math.max(8, Math.min(48, Math.floor((by("leads-chart").clientWidth || 600) / 14)));
  return `/_sandbox/overview?${new URLSearchParams([...asked, ["steps", steps]])}`;
}

async function poll() {
  clearTimeout(timer);
  asking?.abort();
  const mine = (asking = new AbortController());
  const late = setTimeout(() => mine.abort(), LATE);
  const began = performance.now();
  try {
    const answer = await fetch(overviewUrl(), { signal: mine.signal, cache: "no-store" });
    const found = await answer.json();
    if (mine !== asking) return;
    if (!answer.ok) throw new Error(found.error);
    if (found.total) show(found);
    showState("live", "live");
  } catch (problem) {
    if (mine !== asking) return;
    showState("lost", problem instanceof SyntaxError || problem instanceof TypeError || mine.signal.aborted ? "the sandbox does not answer" : problem.message);
  } finally {
    clearTimeout(late);
    // A large store takes a while to add up. It is polled less often, so that events do not have to wait.
    if (mine === asking) pollLater(PAUSE + 4 * (performance.now() - began));
  }
}

function pollLater(milliseconds) {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(poll, milliseconds);
}

/** Apply the choices: put them into the address, and fetch everything again. */
function applyChoices() {
  tag = "";
  flash = false;
  const kept = Object.entries(chosen).filter(([name, value]) => value !== usual[name]);
  const query = new URLSearchParams(kept).toString();
  history.replaceState(null, "", query ? `/?${query}` : "/");
  showChoice();
  poll();
}

function showState(name, words) {
  const element = by("state");
  element.dataset.state = paused ? "paused" : name;
  setText(element, paused ? "paused" : words);
}

function show(found) {
  tag = found.tag;
  by("empty").hidden = found.any;
  by("content").hidden = !found.any;
  const none = !found.total.leads && !found.total.sales;
  by("nothing").hidden = !none;
  by("matching").hidden = none;
  colours.assign(found.timeline.lines.map((line) => line.clickId).filter((click) => click !== null));
  showTotals(found.total);
  showLegend(found.timeline.lines, colours);
  showClicks(found.clicks, found.total, colours, chooseClick);
  showEvents(found.events, found.total, chooseClick, flash);
  flash = true;
  showCharts(found);
  document.title = found.any ? `(${count(found.total.leads + found.total.sales)}) cms sandbox` : "cms sandbox";
}

function showCharts({ timeline, total, currency }) {
  const shared = { colour: (click) => colours.of(click), label: (click) => click ?? "other clicks" };
  const sum = (at, name) => timeline.lines.reduce((all, line) => all + BigInt(line[name][at]), 0n);
  charts.leads.show(timeline, {
    ...shared,
    values: (line) => line.leads,
    exact: (line, at) => count(line.leads[at]),
    sum: (at) => count(sum(at, "leads")),
    tick: (value) => compactMoney(value, ""),
    unit: 1,
  });
  charts.revenue.show(timeline, {
    ...shared,
    values: (line) => line.amounts.map(Number),
    exact: (line, at) => money(line.amounts[at], currency),
    sum: (at) => money(sum(at, "amounts"), currency),
    tick: (value) => compactMoney(value, currency),
    unit: unitOf(currency),
  });
  setText(by("leads-sum"), count(total.leads));
  const revenue = total.revenue.find((each) => each.currency === currency);
  setText(by("revenue-sum"), revenue ? money(revenue.amount, currency) : "");
  const codes = new Set([...total.revenue.map((each) => each.currency), ...(currency ? [currency] : [])]);
  const options = codes.size ? [...codes].sort() : [""];
  syncChildren(by("currency"), options, (code) => code, (code) => make("option", { value: code }, code || "no currency yet"));
  by("currency").value = currency;
  setText(by("order-revenue"), currency ? `revenue in ${currency}` : "revenue");
}

function showChoice() {
  if (by("text").value !== chosen.text) by("text").value = chosen.text;
  for (const radio of document.getElementsByName("kind")) radio.checked = radio.value === chosen.kind;
  by("clock").value = chosen.clock;
  by("order").value = chosen.order;
  by("click-chip").hidden = !chosen.click;
  by("click-chip").replaceChildren("Click ", make("bdi", {}, chosen.click), " ", make("span", { "aria-hidden": "true" }, "×"));
  by("click-chip").title = "Show all clicks again";
  by("clear").hidden = !(chosen.text || chosen.kind || chosen.click);
}

function chooseClick(click) {
  choose({ click });
}

function choose(change) {
  Object.assign(chosen, change);
  applyChoices();
}

function listen() {
  whenWidthChanges(applyChoices);
  const typed = debounce(() => by("text").value !== chosen.text && choose({ text: by("text").value }), 200);
  by("text").addEventListener("input", typed);
  by("filter").addEventListener("submit", (event) => event.preventDefault());
  for (const radio of document.getElementsByName("kind")) radio.addEventListener("change", () => choose({ kind: radio.value }));
  for (const name of ["clock", "order", "currency"]) by(name).addEventListener("change", (event) => choose({ [name]: event.target.value }));
  by("click-chip").addEventListener("click", () => {
    choose({ click: "" });
    by("text").focus();
  });
  by("clear").addEventListener("click", () => {
    choose({ text: "", kind: "", click: "" });
    by("text").focus();
  });
  by("pause").addEventListener("click", () => {
    paused = !paused;
    by("pause").setAttribute("aria-pressed", String(paused));
    setText(by("pause"), paused ? "Go on" : "Pause");
    if (paused) {
      clearTimeout(timer);
      showState("paused", "paused");
    } else poll();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : paused || poll()));
}

setText(by("example"), [
  `export CMS_HOST=${location.origin} CMS_BEARER_TOKEN=anything`,
  "cms lead --click-id c1 --event-name signup --customer-external-id u1",
].join("\n"));
listen();
applyChoices();
