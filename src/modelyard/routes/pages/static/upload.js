// Files and folders, chosen or dropped, sent one after the other to the file API in the browser's session.
// Each is asked about first, so that what would be refused, or would replace another file, is told before its first byte.

const {
  AT_ONCE, ELSEWHERE, UNREADABLE, ask, begun, discard, heldElsewhere, isOf, patiently, remembered, send,
} = await import(document.querySelector("link[rel=modulepreload]").href);

const MOST = 2; // at once
const units = ["B", "KiB", "MiB", "GiB", "TiB"];
const active = new Set();
const LIVING = ["waiting", "sending", "paused", "unfinished"];

function amount(size) {
  let unit = 0;
  for (; size >= 1023.95 && unit < units.length - 1; unit += 1) size /= 1024;
  return unit ? `${size.toFixed(1)} ${units[unit]}` : `${size} B`;
}

// What a refusal says, whichever shape it has.
function said(status, text) {
  let told = "";
  try {
    const body = JSON.parse(text);
    told = body.error_description ?? body.message ?? body.error ?? "";
    if (typeof told === "object") told = Object.entries(told).map(([name, why]) => `${name} ${[why].flat().join(", ")}`).join("; ");
  } catch { /* a page of a proxy, say */ }
  if (status === UNREADABLE) return "It has changed meanwhile, or cannot be read any more: choose it again.";
  if (status === ELSEWHERE) return "Another tab of this browser sends it.";
  if (status === 0) return "The connection was lost.";
  if (status === 401) return "Your session has ended: sign in again, then retry.";
  if (status === 412) return "A file of that name has come in meanwhile.";
  return `${String(told).replace(/^\d{3} \w+ - /, "") || "The server refused it."} (${status})`;
}

function element(name, text, options = {}) {
  return Object.assign(document.createElement(name), { textContent: text }, options);
}

class Upload {
  // `file`: null for what was begun before this page was loaded, `entry`, until it is chosen again.
  constructor(zone, file, name, { replace = false, entry = null } = {}) {
    Object.assign(this, { zone, file, name, replace, entry, state: "waiting" });
    this.size = file?.size ?? entry.size;
    this.row = element("li", "");
    this.bar = element("progress", "", { max: Math.max(this.size, 1), value: entry?.sent ?? 0 });
    this.bar.setAttribute("aria-label", `Progress of ${name}`);
    this.told = element("span", "waiting", { className: "told" });
    this.buttons = element("span", "", { className: "inline" });
    this.row.append(element("bdi", name, { className: "name" }), ` ${amount(this.size)} `, this.bar, this.told, this.buttons);
    if (file) this.offer(["Cancel", () => this.cancel()]);
    else this.ask();
  }

  offer(...choices) {
    const focused = this.buttons.contains(document.activeElement);
    this.buttons.replaceChildren(...choices.map(([label, act]) => {
      const button = element("button", label, { type: "button" });
      button.setAttribute("aria-label", `${label} ${this.name}`);
      button.addEventListener("click", act);
      return button;
    }));
    if (focused) (this.buttons.firstChild ?? this.zone.area).focus();
  }

  end(state, text, ...choices) {
    active.delete(this);
    this.state = state;
    this.told.textContent = text;
    this.row.className = state;
    this.bar.hidden = !["done", "paused"].includes(state);
    this.offer(...choices);
    this.zone.tell();
  }

  // A script may not open a file again that was open before a reload: its reader has to choose it.
  ask(text = "") {
    this.state = "unfinished";
    const busy = heldElsewhere(this.entry);
    const there = `${amount(this.entry.sent ?? 0)} of it are there`;
    this.told.textContent = busy ? said(ELSEWHERE) : text || `${there}. Choose the file again to go on.`;
    const choose = ["Choose", () => this.zone.choose((file) => this.goOn(file))];
    this.offer(choose, ...(busy ? [] : [["Cancel", () => this.cancel()]]));
  }

  goOn(file) {
    if (!isOf(this.entry, file)) {
      this.ask(`${file.name} is another file, or has changed since: ${amount(file.size)}.`);
      return;
    }
    this.file = file;
    this.again();
  }

  again(replace = this.replace) {
    this.replace = replace;
    this.state = "waiting";
    this.told.textContent = "waiting";
    this.bar.value = this.entry?.sent ?? 0;
    this.bar.hidden = false;
    this.row.className = "";
    this.offer(["Cancel", () => this.cancel()]);
    this.zone.next();
  }

  pause() {
    this.stop();
    this.end("paused", `paused at ${amount(this.bar.value)}`, ["Resume", () => this.again()], ["Cancel", () => this.cancel()]);
    this.zone.next();
  }

  cancel() {
    this.stop();
    this.bar.value = 0;
    if (this.entry) discard(this.entry);
    this.entry = null;
    this.end("cancelled", "cancelled", ...(this.file ? [["Retry", () => this.again()]] : []));
    this.zone.next();
  }

  stop() {
    this.turn?.abort();
    this.turn = null;
  }

  async run() {
    const turn = new AbortController();
    this.turn = turn;
    this.state = "sending";
    active.add(this);
    this.offer(...(this.size > AT_ONCE ? [["Pause", () => this.pause()]] : []), ["Cancel", () => this.cancel()]);
    try {
      await this.attempt(turn.signal);
    } catch (error) {
      if (!turn.signal.aborted) throw error;
    }
    this.zone.next();
  }

  async attempt(signal) {
    const how = {
      file: this.file,
      signal,
      progress: this.meter(),
      waiting: ({ status, text }, seconds) => { this.told.textContent = `${said(status, text)} Trying again in ${seconds} s.`; },
      began: (entry) => { this.entry = entry; },
    };
    const { user, check } = this.zone.dataset;
    const gone = this.entry && !(remembered(this.entry) && isOf(this.entry, this.file));
    if (gone) this.entry = null;
    const place = this.entry ? { entry: this.entry } : await this.check(how);
    if (!place) return;
    const answer = await send(this.file, { ...place, user, place: check, name: this.name, replace: this.replace }, how);
    signal.throwIfAborted();
    // What was begun long ago may be no more, and begins anew; once, as it is not remembered then.
    if (place.entry && [404, 410].includes(answer.status)) return this.attempt(signal);
    if (answer.status === 201) {
      this.entry = null;
      this.bar.value = this.bar.max;
      this.end("done", "uploaded");
      return;
    }
    const choices = [["Retry", () => this.again()], ["Cancel", () => this.cancel()]];
    if (answer.status === 412) choices.unshift(["Replace", () => this.again(true)]);
    this.end("failed", said(answer.status, answer.text), ...choices);
  }

  // Shows what was sent, and how fast.
  meter() {
    let from = performance.now();
    let before = null;
    return (sent) => {
      this.bar.value = sent;
      const passed = performance.now() - from;
      if (before !== null && passed < 300) return;
      const speed = before === null ? "" : ` · ${amount(Math.max(sent - before, 0) / passed * 1000)}/s`;
      this.told.textContent = `${amount(sent)}${speed}`;
      [from, before] = [performance.now(), sent];
    };
  }

  // Where the file goes; null where it is not to be sent, as is told then.
  async check(how) {
    const query = new URLSearchParams({ name: this.name, size: this.size });
    this.told.textContent = "checking";
    const { status, text } = await patiently(() => ask("GET", `${this.zone.dataset.check}?${query}`, how), how);
    if (status !== 200) {
      this.end("failed", said(status, text), ["Retry", () => this.again()]);
      return null;
    }
    const place = JSON.parse(text);
    if (!place.exists || this.replace) return place;
    this.end("taken", `A file of that name is there already (${amount(place.exists.size)}).`,
      ["Replace", () => this.again(true)], ["Skip", () => { this.row.remove(); this.state = "cancelled"; this.zone.tell(); }]);
    return null;
  }
}

// The files of what was dropped, with their paths; folders at any depth.
async function* dropped(entry, folder = "") {
  const name = folder + entry.name;
  if (entry.isFile) {
    yield [await new Promise((found, failed) => { entry.file(found, failed); }), name];
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((found, failed) => { reader.readEntries(found, failed); });
    if (!some.length) return;
    for (const each of some) yield* dropped(each, `${name}/`);
  }
}

class UploadZone extends HTMLElement {
  connectedCallback() {
    if (this.uploads) return;
    this.uploads = [];
    this.form = this.querySelector("form");
    this.list = this.querySelector(".uploads");
    this.status = this.querySelector(".status");
    this.area = this.querySelector(".drop");
    const input = this.form.elements.file;
    input.multiple = true;
    input.required = false;
    this.form.querySelector("[type=submit]").hidden = true;
    this.querySelector(".wide").hidden = false;
    input.addEventListener("change", () => { this.add([...input.files].map((file) => [file, file.name])); input.value = ""; });
    const folders = element("input", "", { type: "file", webkitdirectory: true, className: "hidden", tabIndex: -1 });
    folders.setAttribute("aria-label", "Folder to upload");
    folders.addEventListener("change", () => {
      this.add([...folders.files].map((file) => [file, file.webkitRelativePath]));
      folders.value = "";
    });
    this.form.append(folders);
    this.querySelector(".folder").addEventListener("click", () => folders.click());
    for (const entry of begun(this.dataset.user, this.dataset.check)) this.show(new Upload(this, null, entry.name, { entry }));
    addEventListener("storage", () => this.look());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    for (const type of ["dragenter", "dragover"]) this.addEventListener(type, (event) => this.over(event, true));
    this.addEventListener("dragleave", (event) => this.over(event, false));
    this.addEventListener("drop", (event) => this.drop(event));
  }

  over(event, inside) {
    event.preventDefault();
    this.area.classList.toggle("over", inside);
  }

  async drop(event) {
    this.over(event, false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) this.add([...event.dataTransfer.files].map((file) => [file, file.name]));
    for (const entry of entries) {
      try {
        for await (const found of dropped(entry)) this.add([found]);
      } catch {
        this.tell(`${entry.name} cannot be read.`);
      }
    }
  }

  add(files) {
    const folder = this.form.elements.folder.value.trim().replace(/^\/+|\/+$/g, "");
    for (const [file, path] of files) {
      const name = (folder ? `${folder}/${path}` : path);
      const known = this.uploads.find((each) => each.name === name && LIVING.includes(each.state));
      if (!known) this.show(new Upload(this, file, name, { replace: this.form.elements.replace.checked }));
      else if (known.state === "unfinished") known.goOn(file);
    }
    this.next();
  }

  show(upload) {
    this.uploads.push(upload);
    this.list.append(upload.row);
    this.list.hidden = false;
  }

  // One file, for what needs it.
  choose(use) {
    const input = element("input", "", { type: "file" });
    input.addEventListener("change", () => use(input.files[0]), { once: true });
    input.click();
  }

  // What other tabs have done meanwhile.
  look() {
    for (const upload of this.uploads.filter(({ state }) => state === "unfinished")) {
      if (remembered(upload.entry)) upload.ask();
      else upload.row.remove();
    }
    this.uploads = this.uploads.filter(({ row }) => row.isConnected);
  }

  next() {
    while (active.size < MOST) {
      const waiting = this.uploads.find((each) => each.state === "waiting");
      if (!waiting) break;
      waiting.run();
    }
    this.tell();
  }

  tell(text = "") {
    const count = (state) => this.uploads.filter((each) => each.state === state).length;
    const left = count("waiting") + count("sending");
    const done = count("done");
    const wrong = count("failed") + count("taken") + count("unfinished");
    this.status.hidden = false;
    this.status.textContent = text || [left && `${left} to go`, `${done} uploaded`, wrong && `${wrong} need your attention`].filter(Boolean).join(", ");
    if (!left && done && this.dataset.files) {
      this.status.append(" ", element("a", "Show the files", { href: this.dataset.files }));
    }
  }
}

addEventListener("beforeunload", (event) => {
  if (active.size) event.preventDefault();
});

customElements.define("upload-zone", UploadZone);
