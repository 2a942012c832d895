// <run-grid>: all runs of a table at once, over the pages of it that it is without a script. Of thousands of rows only
// those in sight are there. Arrow keys move, Enter opens a run, space selects it, what is copied is the selected rows.

const ROW = 28; // pixels
const MOST_NODES = 900; // of rows

const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const missing = (value) => value === null || value === undefined;
const rank = (value) => (value === "NaN" ? -Infinity : value === "Infinity" ? Infinity : value === "-Infinity" ? -Number.MAX_VALUE : value);

// Numbers of which differences were sent.
export function summed(differences) {
  let sum = 0;
  return differences.map((each) => (sum += each));
}

// The numbers of the rows by a field's values; rows without one are last, in whichever direction.
export function ordered(values, descending) {
  const there = [];
  const others = [];
  values.forEach((value, row) => (missing(value) ? others : there).push(row));
  const keys = values.map(rank);
  const sign = descending ? -1 : 1;
  there.sort((a, b) => (keys[a] < keys[b] ? -sign : keys[a] > keys[b] ? sign : a - b));
  return [...there, ...others];
}

class RunGrid extends HTMLElement {
  connectedCallback() {
    this.opener = this.querySelector("button[hidden]");
    if (!this.opener) return;
    this.opener.hidden = false;
    this.opener.addEventListener("click", () => this.open());
    if (new URLSearchParams(location.search).has("grid")) this.open();
  }

  async open() {
    this.opener.disabled = true;
    const answer = await fetch(this.dataset.rows, { headers: { Accept: "application/x-ndjson" } }).catch(() => null);
    if (!answer?.ok) {
      this.opener.disabled = false;
      this.opener.textContent = "The rows cannot be loaded at the moment. Try again";
      return;
    }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const lines = (text + piece.value).split("\n");
      text = lines.pop();
      for (const line of lines) this.take(JSON.parse(line));
    }
    this.ready();
  }

  take(told) {
    if (told.columns) return this.begin(told);
    this.iids.push(...summed(told.iid));
    told.fields.forEach((values, number) => {
      const field = this.fields[number];
      field.values.push(...(field.id === "start_time" ? summed(values) : values));
    });
    this.order = [...this.iids.keys()];
    this.draw();
    return undefined;
  }

  begin({ columns, count, most }) {
    this.fields = columns.map((column) => ({ ...column, values: [] }));
    [this.iids, this.order, this.chosen, this.current, this.count, this.most] = [[], [], new Set(), 0, count, most];
    this.closest("[data-live]")?.removeAttribute("data-live");
    const url = new URL(location);
    url.searchParams.set("grid", "1");
    history.replaceState(null, "", url);
    this.head = element("div", { className: "grid-row grid-head", role: "row" });
    this.body = element("div", { className: "grid-body", role: "rowgroup" });
    this.box = element("div", { className: "grid", tabIndex: 0, role: "grid", ariaLabel: "All runs", ariaMultiSelectable: "true" },
      element("div", { role: "rowgroup", className: "grid-top" }, this.head), this.body);
    this.box.style.setProperty("--columns", `2rem 16rem repeat(${this.fields.length - 1}, 9rem)`);
    this.told = element("p", { className: "hint", role: "status" });
    this.carried = element("div", { hidden: true });
    this.replaceChildren(this.told, this.box, this.carried);
    this.box.ariaColCount = String(this.fields.length + 1);
    this.head.append(element("span", { role: "columnheader" }, element("span", { className: "hidden", textContent: "Selected" })), ...this.fields.map((field, number) => {
      const button = element("button", { type: "button", className: "link", textContent: field.label, title: `Sort by ${field.label}` });
      button.addEventListener("click", () => this.sort(number));
      return element("span", { role: "columnheader", className: field.numeric ? "num" : "", dir: "auto" }, button);
    }));
    this.box.addEventListener("scroll", () => requestAnimationFrame(() => this.draw()));
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("copy", (event) => this.copy(event));
    this.body.addEventListener("click", (event) => this.click(event));
  }

  ready() {
    this.told.textContent = `${this.iids.length < this.count ? `The first ${this.iids.length} of ${this.count} runs` : `${this.iids.length} runs`}, as they are now. Figures have four digits; CSV has all.`;
    this.box.dataset.rows = String(this.iids.length);
  }

  sort(number) {
    const heading = this.head.children[number + 1];
    const descending = heading.ariaSort ? heading.ariaSort === "ascending" : this.fields[number].numeric;
    for (const each of this.head.children) each.removeAttribute("aria-sort");
    heading.ariaSort = descending ? "descending" : "ascending";
    const begun = performance.now();
    this.order = ordered(this.fields[number].values, descending);
    this.current = 0;
    this.box.scrollTop = 0;
    this.draw();
    this.box.dataset.sorted = (performance.now() - begun).toFixed(1); // milliseconds
  }

  draw() {
    const wide = this.fields.length + 3;
    const shown = Math.min(Math.floor(MOST_NODES / wide), Math.ceil(innerHeight * 0.7 / ROW));
    this.box.style.maxHeight = `${(shown - 1) * ROW}px`;
    this.body.style.height = `${this.order.length * ROW}px`;
    this.box.ariaRowCount = String(this.order.length + 1);
    const first = Math.max(0, Math.min(Math.floor(this.box.scrollTop / ROW), this.order.length - shown));
    this.body.replaceChildren(...this.order.slice(first, first + shown).map((row, at) => this.line(row, first + at)));
    const current = this.body.querySelector(".current-row");
    if (current) this.box.setAttribute("aria-activedescendant", current.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  line(row, place) {
    const chosen = this.chosen.has(this.iids[row]);
    const cells = this.fields.map(({ values, numeric }, number) => {
      const text = missing(values[row]) ? "" : this.text(number, values[row]);
      const inside = number ? text : element("a", { href: `${this.dataset.runs}/${this.iids[row]}`, textContent: text, tabIndex: -1 });
      return element("span", { role: number ? "gridcell" : "rowheader", className: numeric ? "num" : "", dir: "auto" }, inside);
    });
    const mark = element("span", { role: "gridcell", className: "mark", textContent: chosen ? "☑" : "☐" });
    mark.ariaLabel = chosen ? "selected" : "not selected";
    const line = element("div", { className: `grid-row${place === this.current ? " current-row" : ""}`, role: "row", id: `grid-${place}` }, mark, ...cells);
    line.ariaRowIndex = String(place + 2);
    line.ariaSelected = String(chosen);
    line.style.transform = `translateY(${place * ROW}px)`;
    return line;
  }

  text(number, value) {
    if (this.fields[number].id !== "start_time") return String(value);
    return value ? new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short" }).format(value) : "";
  }

  move(place) {
    this.current = Math.min(Math.max(place, 0), this.order.length - 1);
    const [top, height] = [this.current * ROW, this.box.clientHeight - ROW]; // without the head
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW > this.box.scrollTop + height) this.box.scrollTop = top + ROW - height;
    this.draw();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.box) return;
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 2);
    const places = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -this.order.length, End: this.order.length };
    if (Object.hasOwn(places, event.key)) this.move(this.current + places[event.key]);
    else if (event.key === " " || event.key === "x") this.choose(this.order[this.current]);
    else if (event.key === "Enter") this.body.querySelector(".current-row a")?.click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  click(event) {
    const line = event.target.closest(".grid-row");
    if (!line || event.target.closest("a")) return;
    this.current = Number(line.ariaRowIndex) - 2;
    if (event.target.closest(".mark")) this.choose(this.order[this.current]);
    else this.draw();
  }

  // The form below the table takes what is chosen.
  choose(row) {
    const iid = this.iids[row];
    if (!this.chosen.delete(iid)) this.chosen.add(iid);
    this.carried.replaceChildren(...[...this.chosen].map((value) => {
      const field = element("input", { type: "hidden", name: "runs", value });
      field.setAttribute("form", "many");
      return field;
    }));
    this.draw();
  }

  copy(event) {
    if (String(getSelection())) return;
    const rows = this.chosen.size ? this.order.filter((row) => this.chosen.has(this.iids[row])) : [this.order[this.current]];
    const lines = rows.map((row) => this.fields.map(({ values }, number) => (missing(values[row]) ? "" : this.text(number, values[row]))));
    event.clipboardData.setData("text/plain", [this.fields.map(({ label }) => label), ...lines].map((line) => line.join("\t")).join("\n"));
    event.preventDefault();
  }
}

customElements.define("run-grid", RunGrid);
