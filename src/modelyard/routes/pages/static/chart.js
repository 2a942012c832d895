// <metric-chart>: curves of a metric in several runs, over the table that it is without a script. The server sends at
// most POINTS of each, the least and the greatest of every part; a part that is chosen by the mouse is asked for anew.
// Arrow keys move along the curve; what is there is read out below.

const POINTS = 2000;
const RAW_ALL = "all";
const LIGHT = ["#3E55C8", "#5B0020", "#E65F2A", "#280183", "#7D5279", "#B17C9F", "#6684FB", "#B32517"];
const DARK = ["#76C7CC", "#8451C9", "#B180FC", "#B74B21", "#8AFFD8", "#429599", "#EDEE45", "#E18528"];

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
}

export function parse(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length;
  for (const curve of told) {
    curve.x = new Float64Array(buffer.slice(at, at + 8 * curve.shown));
    at += 8 * curve.shown;
    curve.y = new Float32Array(buffer.slice(at, at + 4 * curve.shown));
    at += 4 * curve.shown;
  }
  return told;
}

// One row of places for all curves, in order, each with values at its own; places that are there twice stay so.
export function joined(curves) {
  const size = curves.reduce((sum, curve) => sum + curve.x.length, 0);
  const xs = new Array(size);
  const rows = curves.map(() => new Array(size).fill(null));
  const next = curves.map(() => 0);
  for (let place = 0; place < size; place++) {
    let least = -1;
    for (let each = 0; each < curves.length; each++) {
      if (next[each] < curves[each].x.length
        && (least < 0 || curves[each].x[next[each]] < curves[least].x[next[least]])) least = each;
    }
    xs[place] = curves[least].x[next[least]];
    rows[least][place] = curves[least].y[next[least]++];
  }
  return [xs, ...rows];
}

// An exponential moving average, freed of its bias towards the first values.
export function smoothed(values, weight) {
  let average = 0;
  let count = 0;
  return values.map((value) => {
    if (value === null) return null;
    average = average * weight + value * (1 - weight);
    count += 1;
    return average / (1 - weight ** count);
  });
}

const digits = (value) => Number(value.toPrecision(7)); // which are all that 32 bits hold
const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f");

const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

// What is drawn as a picture of lines: a polyline for each curve, its name, and the ends of both axes.
export function picture(title, names, colours, [xs, ...rows], log) {
  const [width, height, left, top] = [800, 400, 80, 40];
  const scaled = (value) => (log ? Math.log10(value) : value);
  const values = rows.flat().filter((value) => value !== null && Number.isFinite(scaled(value)));
  const ends = (all) => all.reduce(([least, most], each) => [Math.min(least, each), Math.max(most, each)], [Infinity, -Infinity]);
  const [[first, last], [low, high]] = [ends(xs), ends(values)];
  const along = (value, from, to) => (to > from ? (value - from) / (to - from) : 0.5);
  const place = (x, y) => `${(left + width * along(x, first, last)).toFixed(1)},${(top + height * (1 - along(scaled(y), scaled(low), scaled(high)))).toFixed(1)}`;
  const lines = rows.map((row, number) => {
    const points = row.flatMap((value, at) => (value === null || !Number.isFinite(scaled(value)) ? [] : [place(xs[at], value)]));
    const name = `<text x="${left + width + 10}" y="${top + 14 + 18 * number}" fill="${colours[number % 8]}">${escaped(names[number])}</text>`;
    return `<polyline points="${points.join(" ")}" fill="none" stroke="${colours[number % 8]}" stroke-width="1.5"${number >= 8 ? ' stroke-dasharray="6 4"' : ""}/>${name}`;
  });
  const texts = [[left, 24, title, "start"], [left - 8, top + 12, high, "end"], [left - 8, top + height, low, "end"], [left, top + height + 20, first, "start"], [left + width, top + height + 20, last, "end"]]
    .map(([x, y, text, anchor]) => `<text x="${x}" y="${y}" text-anchor="${anchor}">${escaped(String(text))}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${left + width + 220} ${top + height + 40}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/><rect x="${left}" y="${top}" width="${width}" height="${height}" fill="none" stroke="#818b98"/>${texts.join("")}${lines.join("")}</svg>\n`;
}

// What is drawn as a table: no cell of it is a formula to a spreadsheet.
export function table(axis, curves) {
  const cell = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  const rows = curves.flatMap((curve) => Array.from(curve.x, (place, at) => `${curve.run},${cell(curve.name)},${place},${digits(curve.y[at])}`));
  return [`number,run,${axis === "time" ? "milliseconds" : "step"},value`, ...rows, ""].join("\r\n");
}

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

class MetricChart extends HTMLElement {
  connectedCallback() {
    if (this.box) return;
    this.state = { x: "step", log: false, smooth: 0, all: false, window: null, ...this.kept() };
    this.build();
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      this.load();
    }, { rootMargin: "200px" });
    seen.observe(this);
    this.resize = new ResizeObserver(() => this.plot?.setSize({ width: this.width(), height: 280 }));
    this.resize.observe(this);
  }

  disconnectedCallback() {
    this.resize?.disconnect();
  }

  build() {
    const select = element("select", { ariaLabel: "Drawn over" },
      element("option", { value: "step", textContent: "by step" }), element("option", { value: "time", textContent: "by time" }));
    select.value = this.state.x;
    select.addEventListener("change", () => this.change({ x: select.value, window: null }));
    const log = element("input", { type: "checkbox", checked: this.state.log });
    log.addEventListener("change", () => { this.state.log = log.checked; this.keep(); this.draw(); });
    const smooth = element("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: this.state.smooth });
    smooth.addEventListener("input", () => { this.state.smooth = Number(smooth.value); this.draw(); });
    smooth.addEventListener("change", () => this.keep());
    this.all = element("button", { type: "button", textContent: "All points", hidden: true });
    this.all.addEventListener("click", () => this.change({ all: true }));
    this.whole = element("button", { type: "button", textContent: "Whole curve", hidden: true });
    this.whole.addEventListener("click", () => this.change({ window: null, all: false }));
    const exports = ["PNG", "SVG", "CSV"].map((kind) => element("button", { type: "button", textContent: kind, title: `Download as ${kind}` }));
    for (const button of exports) button.addEventListener("click", () => this.save(button.textContent));
    this.told = element("p", { className: "hint" });
    this.told.setAttribute("role", "status");
    this.read = element("p", { className: "hint num" });
    this.read.setAttribute("aria-live", "polite");
    this.box = element("div", { className: "chart", tabIndex: 0 });
    this.box.setAttribute("role", "img");
    this.box.setAttribute("aria-label", `Curves of ${this.dataset.metric}; arrow keys read their points, the table below has figures`);
    this.box.addEventListener("keydown", (event) => this.key(event));
    const tools = element("div", { className: "inline" }, select,
      element("label", { className: "choice" }, log, " log"), element("label", { className: "choice" }, "smooth ", smooth),
      this.all, this.whole, ...exports);
    this.prepend(tools, this.box, this.told, this.read);
    this.querySelector("details.as-table")?.removeAttribute("open");
  }

  // How a chart is drawn is in the address, so that it can be shared and comes back: `chart=loss~time~log~0.6~10~20`.
  entries() {
    return new URLSearchParams(location.search).getAll("chart").map((text) => text.split("~"));
  }

  isOwn(parts) {
    return parts.slice(0, -5).join("~") === this.dataset.metric;
  }

  kept() {
    const [x, log, smooth, from, to] = this.entries().find((parts) => this.isOwn(parts))?.slice(-5) ?? [];
    const number = /^-?\d{1,19}$/;
    return x === undefined ? {} : {
      x: x === "time" ? "time" : "step",
      log: log === "log",
      smooth: Math.min(Math.max(Number(smooth) || 0, 0), 0.99),
      window: number.test(from) && number.test(to) ? [from, to] : null,
    };
  }

  keep() {
    const { x, log, smooth, window } = this.state;
    const url = new URL(location);
    const others = this.entries().filter((parts) => !this.isOwn(parts)).map((parts) => parts.join("~"));
    const own = [this.dataset.metric, x, log ? "log" : "", smooth || "", ...(window ?? ["", ""])].join("~");
    url.searchParams.delete("chart");
    for (const text of [...others, own]) if (!text.endsWith("~step~~~~")) url.searchParams.append("chart", text);
    history.replaceState(null, "", url);
  }

  change(changed) {
    Object.assign(this.state, changed);
    this.keep();
    return this.load();
  }

  async load() {
    const { x, all, window } = this.state;
    const query = new URLSearchParams({ metric: this.dataset.metric, x, points: all ? RAW_ALL : POINTS });
    for (const run of this.dataset.runs.split(",").filter(Boolean).slice(0, 10)) query.append("run", run);
    if (window) { query.set("from", window[0]); query.set("to", window[1]); }
    const asked = this.asked = Symbol("request");
    const answer = await fetch(`${this.dataset.curves}?${query}`, { headers: { Accept: "application/octet-stream" } })
      .catch(() => null);
    if (asked !== this.asked) return;
    if (!answer?.ok) {
      this.told.textContent = answer?.status === 400 ? "These are too many points at once: choose a part, or fewer runs." : "The curves cannot be loaded at the moment.";
      return;
    }
    this.curves = parse(await answer.arrayBuffer());
    this.tell();
    this.draw();
  }

  tell() {
    const total = this.curves.reduce((sum, curve) => sum + curve.total, 0);
    const shown = this.curves.reduce((sum, curve) => sum + curve.shown, 0);
    const odd = this.curves.reduce((sum, curve) => sum + curve.odd, 0);
    const sampled = this.curves.some((curve) => curve.shown + curve.odd < curve.total);
    this.told.textContent = (sampled ? `${grouped(shown)} of ${grouped(total)} points: the least and greatest of each part` : `${grouped(total)} points`)
      + (odd ? `; ${grouped(odd)} are NaN or infinite, and not drawn` : "") + (this.state.window ? "; a part of the curve" : "");
    this.all.hidden = !sampled;
    this.whole.hidden = !this.state.window && !this.state.all;
  }

  width() {
    return Math.max(280, Math.floor(this.box.clientWidth));
  }

  draw() {
    if (!this.curves || !globalThis.uPlot) return;
    const { x, log, smooth } = this.state;
    const colours = isDark() ? DARK : LIGHT;
    const [xs, ...rows] = joined(this.curves);
    const style = getComputedStyle(this);
    const places = x === "time" ? xs.map((moment) => moment / 1000) : xs;
    const shown = rows.map((row) => (log ? row.map((value) => (value > 0 ? value : null)) : row));
    const data = [places, ...shown.map((row) => (smooth ? smoothed(row, smooth) : row))];
    const series = this.curves.map((curve, number) => ({
      label: curve.name,
      stroke: colours[number % 8],
      width: 1.5,
      dash: number >= 8 ? [6, 4] : undefined,
      spanGaps: true,
      points: { show: curve.x.length < 50 },
    }));
    const axis = { stroke: style.color, grid: { stroke: style.getPropertyValue("--line-drawn") || "#8884", width: 1 }, ticks: { stroke: "#8884" } };
    this.plot?.destroy();
    this.drawn = { places, rows, data };
    this.plot = new globalThis.uPlot({
      width: this.width(),
      height: 280,
      scales: { x: { time: x === "time" }, y: { distr: log ? 3 : 1 } },
      cursor: { drag: { setScale: false } },
      series: [{ label: x === "time" ? "time" : "step" }, ...series],
      axes: [axis, { ...axis, size: 70 }],
      hooks: { setSelect: [(plot) => this.zoom(plot)] },
    }, data, this.box);
    this.box.dataset.drawn = String(xs.length);
  }

  zoom(plot) {
    if (plot.select.width < 4) return;
    const scale = this.state.x === "time" ? 1000 : 1;
    const ends = [plot.posToVal(plot.select.left, "x"), plot.posToVal(plot.select.left + plot.select.width, "x")];
    const [from, to] = [Math.floor(ends[0] * scale), Math.ceil(ends[1] * scale)];
    this.change({ window: [String(BigInt(from)), String(BigInt(to))], all: false });
  }

  key(event) {
    if (!this.drawn?.places.length || !["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
    event.preventDefault();
    const last = this.drawn.places.length - 1;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    this.at = step ? Math.min(Math.max((this.at ?? -1) + step, 0), last) : event.key === "Home" ? 0 : last;
    const row = this.drawn.rows.findIndex((values) => values[this.at] !== null);
    const place = this.drawn.places[this.at];
    const where = this.state.x === "time" ? new Date(place * 1000).toISOString() : `step ${place}`;
    this.plot.setCursor({ left: this.plot.valToPos(place, "x"), top: 10 });
    this.read.textContent = row < 0 ? where : `${where}: ${digits(this.drawn.rows[row][this.at])} (${this.curves[row].name})`;
  }

  async save(kind) {
    if (!this.drawn) return;
    const { drawn: { data }, state: { x, log }, dataset: { metric } } = this;
    const names = this.curves.map((curve) => curve.name);
    const made = {
      PNG: () => new Promise((done) => { this.plot.ctx.canvas.toBlob(done); }),
      SVG: () => new Blob([picture(metric, names, LIGHT, data, log)], { type: "image/svg+xml" }),
      CSV: () => new Blob([table(x, this.curves)], { type: "text/csv" }),
    };
    const url = URL.createObjectURL(await made[kind]());
    element("a", { href: url, download: `${metric.replace(/[^\w.-]+/g, "_")}.${kind.toLowerCase()}` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

customElements.define("metric-chart", MetricChart);
