// Draws stacked bars over time, at the size at which they are shown, so that labels keep the page's text size.

import { draw, make } from "./dom.js";
import { axisLabel, stepLabel } from "./time.js";

const HEIGHT = 190;
const MARGIN = { top: 10, right: 6, bottom: 24, left: 46 };
const TICKS = 4;
const WIDE = 7.4; // pixels of a label's widest character

/** Return the axis step: 1, 2 or 5 times a power of ten. */
function niceStep(most, unit) {
  const rough = Math.max(most / TICKS, 1);
  // At least one whole unit (1 dollar and not 1 cent), unless all values are smaller.
  const base = rough >= unit / 10 ? unit : 1;
  const power = 10 ** Math.floor(Math.log10(rough / base));
  const factor = [1, 2, 5, 10].find((each) => each * power * base >= rough * 0.999);
  return Math.max(factor * power * base, 1);
}

export class Chart {
  /**
   * @param host The element to draw into.
   * @param name What the bars count, for screen readers.
   */
  constructor(host, name) {
    this.host = host;
    this.name = name;
    this.chosen = -1;
    this.tip = make("div", { className: "tip", role: "status", hidden: true });
    this.frame = make("div", { className: "frame" });
    host.replaceChildren(this.frame, this.tip);
    host.tabIndex = 0;
    host.setAttribute("role", "group");
    host.setAttribute("aria-roledescription", "chart");
    host.addEventListener("pointermove", (event) => this.point(event));
    host.addEventListener("pointerdown", (event) => this.point(event));
    host.addEventListener("pointerleave", () => this.choose(-1));
    host.addEventListener("blur", () => this.choose(-1));
    host.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.render()).observe(host);
  }

  /**
   * Show a timeline.
   * @param timeline {first, step, count, lines: [{clickId, ...}]}
   * @param how {values(line): numbers to draw, exact(line, at): text, sum(at): text, tick(value): text,
   *   unit: what an axis counts in, colour(clickId): class, label(clickId): text}
   */
  show(timeline, how) {
    this.timeline = timeline;
    this.how = how;
    this.host.setAttribute("aria-label", `${this.name} over time, by click. The arrow keys go from step to step.`);
    if (this.chosen >= timeline.count) this.choose(-1);
    this.render();
  }

  render() {
    const width = this.host.clientWidth;
    if (!this.timeline || width < 60) return;
    const { count, lines } = this.timeline;
    const columns = Array.from({ length: count }, (_, at) => lines.map((line) => this.how.values(line)[at]));
    const most = Math.max(0, ...columns.map((column) => column.reduce((sum, value) => sum + value, 0)));
    const step = niceStep(most, this.how.unit);
    const top = Math.max(Math.ceil(most / step), 1) * step;
    const inner = { width: width - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
    this.slot = inner.width / Math.max(count, 1);
    const y = (value) => MARGIN.top + inner.height * (1 - value / top);
    const svg = draw("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" });
    svg.append(...this.grid(step, top, y, width), ...this.marks(inner), ...this.bars(columns, y));
    this.frame.replaceChildren(svg);
    this.choose(this.chosen);
  }

  grid(step, top, y, width) {
    const parts = [];
    for (let value = 0; value <= top * 1.001; value += step) {
      parts.push(draw("line", { class: value ? "grid" : "floor", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) }));
      parts.push(draw("text", { class: "tick", x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, this.how.tick(value)));
    }
    return parts;
  }

  marks(inner) {
    const { first, step, count } = this.timeline;
    const labels = Array.from({ length: count }, (_, at) => axisLabel(first + at * step, step, count * step));
    const longest = Math.max(0, ...labels.map((label) => label.length));
    const every = Math.max(1, Math.ceil((longest * WIDE + 14) / this.slot));
    const parts = [];
    for (let at = 0; at < count; at += every) {
      const half = (labels[at].length * WIDE) / 2;
      const middle = MARGIN.left + this.slot * (at + 0.5);
      const x = Math.min(Math.max(middle, half), MARGIN.left + inner.width - half + MARGIN.right);
      parts.push(draw("text", { class: "tick", x, y: HEIGHT - 6, "text-anchor": "middle" }, labels[at]));
    }
    return parts;
  }

  bars(columns, y) {
    const gap = Math.min(this.slot * 0.2, 4);
    const width = Math.min(this.slot - gap, 44);
    return columns.map((column, at) => {
      const group = draw("g", { class: "column" });
      const x = MARGIN.left + this.slot * at + (this.slot - width) / 2;
      let below = 0;
      column.forEach((value, number) => {
        if (!value) return;
        // A single sale among thousands stays visible.
        const height = Math.max(y(below) - y(below + value), 1.5);
        const shape = { x, y: y(below) - height, width, height, class: this.how.colour(this.timeline.lines[number].clickId) };
        group.append(draw("rect", shape));
        below += value;
      });
      return group;
    });
  }

  point(event) {
    if (!this.timeline) return;
    const at = Math.floor((event.clientX - this.host.getBoundingClientRect().left - MARGIN.left) / this.slot);
    this.choose(at >= 0 && at < this.timeline.count ? at : -1);
  }

  key(event) {
    const last = (this.timeline?.count ?? 0) - 1;
    const here = this.chosen;
    const there = { ArrowLeft: here < 0 ? last : here - 1, ArrowRight: here + 1, Home: 0, End: last, Escape: -1 }[event.key];
    if (there === undefined || last < 0) return;
    event.preventDefault();
    this.choose(event.key === "Escape" ? -1 : Math.min(Math.max(there, 0), last));
  }

  choose(at) {
    this.chosen = at;
    this.frame.querySelectorAll(".column").forEach((column, number) => column.classList.toggle("dim", at >= 0 && number !== at));
    this.tip.hidden = at < 0;
    if (at < 0) return;
    const { first, step, lines } = this.timeline;
    const rows = lines.filter((line) => this.how.values(line)[at]).map((line) => make("li", {},
      make("span", { className: `swatch ${this.how.colour(line.clickId)}` }),
      make("span", { className: "name" }, this.how.label(line.clickId)),
      make("span", { className: "number" }, this.how.exact(line, at)),
    ));
    const head = make("p", {}, `${stepLabel(first + at * step, step)} UTC: `, make("b", {}, this.how.sum(at)));
    const text = [head, ...rows].map((each) => each.textContent).join("\n");
    if (this.said !== text) this.tip.replaceChildren(head, make("ul", {}, ...rows));
    this.said = text;
    const middle = MARGIN.left + this.slot * (at + 0.5);
    const most = this.host.clientWidth - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(middle - this.tip.offsetWidth / 2, most))}px`;
  }
}

