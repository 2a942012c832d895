// What pages of runs do beyond their HTML: fields complete keys, and what goes on is looked at again.

const EVERY = 10_000; // milliseconds
const KINDS = { metric: "metric", metrics: "metric", min: "metric", max: "metric", param: "param", params: "param", parameter: "param", parameters: "param", tag: "tag", tags: "tag" };

// The kind and the beginning of the key at the end of a text: `a = 1 AND metrics.lo` has metric, `lo`.
export function unfinished(text) {
  const found = /(?:^|[\s,(])(\w+)\.(?:"([^"]*)|`([^`]*)|([^\s"`=<>!]*))$/.exec(text);
  if (!found || !KINDS[found[1]]) return null;
  const key = found[2] ?? found[3] ?? found[4];
  return { kind: KINDS[found[1]], key, before: text.slice(0, text.length - found[0].length) + found[0].slice(0, found[0].indexOf(".") + 1) };
}

const spelled = (key) => (/^[\w./:@+-]+$/.test(key) ? key : key.includes("`") ? `"${key}"` : `\`${key}\``);

function complete(field) {
  const list = document.getElementById(field.getAttribute("list"));
  let waiting = 0;
  let asked = "";
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const filter = field.id === "filter";
      const found = field.dataset.kind ? { kind: field.dataset.kind, key: field.value, before: "" } : unfinished(field.value);
      if (!found) return;
      const query = String(new URLSearchParams({ kind: found.kind, search: found.key }));
      if (query === asked) return;
      asked = query;
      const answer = await fetch(`${field.dataset.keys}?${query}`, { headers: { Accept: "application/json" } }).catch(() => null);
      if (!answer?.ok || query !== asked) return;
      const { keys } = await answer.json();
      list.replaceChildren(...keys.map((key) => {
        const option = document.createElement("option");
        option.value = found.before + (filter ? spelled(key) : key);
        return option;
      }));
    }, 150);
  });
}

for (const field of document.querySelectorAll("input[data-keys]")) complete(field);

// Pinned columns stand beside the first one, as wide as that is.
function pin() {
  for (const table of document.querySelectorAll("table.runs")) {
    const first = table.querySelector("thead th");
    let left = first?.offsetWidth ?? 0;
    table.querySelectorAll("thead .pinned").forEach((heading, number) => {
      table.style.setProperty(`--pin-${number}`, `${left}px`);
      left += heading.offsetWidth;
    });
  }
}

pin();
addEventListener("resize", pin);
document.addEventListener("htmx:after:swap", pin);

// The condition that a cell's column is as in that cell; null where no filter says so.
export function condition(key, cell) {
  const [kind, name] = [key.slice(0, key.indexOf(".")), key.slice(key.indexOf(".") + 1)];
  if (kind === "attributes") return `attributes.status = '${cell.textContent.trim().split(" ").pop().toUpperCase()}'`;
  const left = `${kind}s.${spelled(name)}`;
  const value = cell.title || cell.textContent;
  if (kind === "metric") return Number.isFinite(Number(cell.title)) && cell.title ? `${left} = ${cell.title}` : null;
  return !value || cell.textContent.endsWith("…") && value.length >= 250 ? null : `${left} = '${value.replaceAll("'", "''")}'`;
}

// A click on a cell asks for the runs that have the same there.
document.addEventListener("click", (event) => {
  const cell = event.target.closest?.("#runs td");
  if (!cell || event.target.closest("a, button, input") || String(getSelection())) return;
  const key = cell.closest("table").tHead.rows[0].cells[cell.cellIndex]?.dataset.keyOf;
  const added = key && condition(key, cell);
  const field = document.getElementById("filter");
  if (!added || field.value.includes(added)) return;
  field.value = field.value.trim() ? `${field.value.trim()} AND ${added}` : added;
  field.form.requestSubmit();
});

// Children unfold in place; the address says which are.
document.addEventListener("click", (event) => {
  const fold = event.target.closest?.("#runs a.fold");
  if (!fold || !globalThis.htmx || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  globalThis.htmx.ajax("GET", fold.href, { target: "#runs", select: "#runs", swap: "outerMorph" });
  history.replaceState(null, "", fold.href);
});

// A run that goes on, and tables with one, every ten seconds, as long as somebody sees the page and chooses nothing.
async function refresh() {
  const live = document.querySelector("[data-live]");
  if (!live) return clearInterval(timer);
  const busy = live.querySelector("input:checked") || live.contains(document.activeElement?.closest?.("input, select, textarea"));
  if (document.visibilityState !== "visible" || busy) return undefined;
  const charts = live.querySelectorAll("metric-chart");
  if (!charts.length) return globalThis.htmx?.ajax("GET", location.href, { target: `#${live.id}`, select: `#${live.id}`, swap: "outerMorph" });
  for (const chart of charts) chart.load?.(); // in place, with what was chosen of each
  const answer = await fetch(location.href).catch(() => null);
  if (answer?.ok && !/<div[^>]* data-live/.test(await answer.text())) live.removeAttribute("data-live");
  return undefined;
}

const timer = document.querySelector("[data-live]") ? setInterval(refresh, EVERY) : 0;
