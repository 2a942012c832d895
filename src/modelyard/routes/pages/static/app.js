// What all pages do beyond their HTML: copying, keys, times in the reader's zone. Pages work without it.

// Times: a first page is written in UTC; the next ones by the server in the zone that this tells it.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const written = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "short", timeZone: zone });

function localize(within) {
  if (!zone || zone === document.body.dataset.zone) return;
  for (const time of within.querySelectorAll("time[datetime]")) {
    time.textContent = written.format(new Date(time.dateTime));
  }
}

if (zone && zone !== document.body.dataset.zone) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `modelyard_zone=${encodeURIComponent(zone)}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

function age(moment) {
  const units = [["year", 31536e6], ["month", 2592e6], ["day", 864e5], ["hour", 36e5], ["minute", 6e4]];
  const passed = moment - Date.now();
  const [unit, size] = units.find(([, each]) => Math.abs(passed) >= each) ?? ["second", 1e3];
  return new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(Math.trunc(passed / size), unit);
}

document.addEventListener("mouseover", ({ target }) => {
  if (target instanceof HTMLTimeElement) target.title = age(new Date(target.dateTime));
});

// Copying; plain http has no clipboard, but an old command.
async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "hidden";
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

async function copied(button) {
  const label = button.textContent;
  await copy(button.dataset.copy);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = label; }, 1500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (button) copied(button);
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("change", ({ target }) => {
  if (target.matches?.("[data-submit]")) target.form.requestSubmit();
});

// Keys. Off where a reader says so (WCAG 2.1.4), and never in a field.
const keys = document.getElementById("keys");
const off = document.getElementById("keys-off");
try {
  off.checked = localStorage.getItem("keys") === "off";
} catch { /* a browser that keeps nothing */ }
off.addEventListener("change", () => {
  try {
    localStorage.setItem("keys", off.checked ? "off" : "on");
  } catch { /* as above: it holds for this page */ }
});

let before = "";
let row = -1;

function move(step) {
  const rows = [...document.querySelectorAll("main tbody tr, main .cards > li")];
  if (!rows.length) return;
  rows[row]?.classList.remove("current-row");
  row = Math.min(Math.max(row + step, 0), rows.length - 1);
  rows[row].classList.add("current-row");
  rows[row].scrollIntoView({ block: "nearest" });
  rows[row].querySelector("a[href]")?.focus({ preventScroll: true });
}

const commands = {
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": () => keys.showModal(),
  j: () => move(1),
  k: () => move(-1),
  x: () => document.querySelector(".current-row input[type=checkbox]")?.click(),
  y: () => copy(location.href),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  const field = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (field || event.ctrlKey || event.metaKey || event.altKey || off.checked || keys.open) return;
  const keyed = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  const place = before === "g" ? document.querySelector(`[data-go="${CSS.escape(event.key)}"]`) : null;
  before = event.key;
  if (place) place.click();
  else if (keyed) {
    event.preventDefault();
    if (keyed.matches("input")) keyed.focus();
    else keyed.click();
  }
  else if (Object.hasOwn(commands, event.key)) {
    event.preventDefault();
    commands[event.key]();
  }
});

// What is new on a page, at first and whenever htmx has put something in its place.
function enhance(within) {
  localize(within);
  for (const button of within.querySelectorAll("[data-copy][hidden]")) button.hidden = false;
}

enhance(document);
document.addEventListener("htmx:after:swap", ({ detail }) => {
  const content = document.getElementById("content");
  enhance(content);
  // What was typed stays in fields that are kept: what was sent, and what is to be changed, is as the server has it.
  const sent = detail?.ctx?.sourceElement?.closest("form[hx-post]");
  for (const form of sent ? [sent] : content.querySelectorAll("form[hx-post]")) form.reset();
});

// GitLab's addresses of tabs, which only a browser sees: `models/1#/versions`, `models/1/versions/2#/artifacts`.
const tabs = { "#/versions": "versions", "#/artifacts": "files", "#/performance": "metrics" };
if (/\/-\/ml\/models\/\d+(\/versions\/\d+)?$/.test(location.pathname) && Object.hasOwn(tabs, location.hash)) {
  location.replace(`${location.pathname}?tab=${tabs[location.hash]}`);
}

if (matchMedia("(max-width: 48rem)").matches) document.querySelector(".side-fold")?.removeAttribute("open");
document.querySelector(".error[role=alert]")?.focus();

