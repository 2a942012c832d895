// How the bytes of a file reach the server: few by one PUT, many by tus 1.0.0 in slices, which go on after a lost network
// and a restart of the server and, as what was begun is remembered in this browser, after a reload of the page.

const MIB = 2 ** 20;
const SLICE = 64 * MIB; // of one request
const TUS = { "Tus-Resumable": "1.0.0" };
const BINARY = { "Content-Type": "application/octet-stream" };

export const AT_ONCE = 8 * MIB; // up to so many bytes are sent by one PUT

// Why bytes were not sent, where it is not the server that refused them.
export const UNREADABLE = "unreadable";
export const ELSEWHERE = "elsewhere";

// What passes, however long it takes, and what may be a fault that stays.
const PASSING = new Set([0, 423, 429, 502, 503, 504]);
const PERHAPS = new Set([408, 409, 500]);
const TRIES = 5;
const WAITS = [1, 2, 4, 8, 15, 30]; // seconds

// What was begun, each under a key of its own: no token, but what file it is, where it goes and by which URL it goes on,
// which is of use to none but its user. A tab holds what it sends until a moment that it puts off while it sends.

const KEY = "modelyard upload ";
const HOLD = 20; // seconds
const tab = Math.random().toString(36).slice(2);

function read(key) {
  try {
    const entry = JSON.parse(localStorage.getItem(key));
    if (entry.expires > Date.now()) return entry;
    localStorage.removeItem(key);
  } catch { /* a browser that keeps nothing, or what somebody else has written */ }
  return null;
}

// All that a user has begun of a version or a run, `place`.
export function begun(user, place) {
  let keys = [];
  try {
    keys = Object.keys(localStorage).filter((key) => key.startsWith(KEY));
  } catch { /* as above */ }
  return keys.map(read).filter((entry) => entry?.user === user && entry.place === place);
}

export function remembered(entry) {
  return read(KEY + entry.url) !== null;
}

export function heldElsewhere(entry) {
  const now = read(KEY + entry.url);
  return now !== null && now.tab !== tab && now.until > Date.now();
}

export function isOf(entry, file) {
  return entry.size === file.size && entry.modified === file.lastModified;
}

function keep(entry, change, seconds = HOLD) {
  Object.assign(entry, change, { tab, until: Date.now() + seconds * 1000 });
  try {
    localStorage.setItem(KEY + entry.url, JSON.stringify(entry));
  } catch { /* it goes on all the same, but for a reload */ }
}

function forget(entry) {
  try {
    localStorage.removeItem(KEY + entry.url);
  } catch { /* it is not there */ }
}

// Give up what was begun, here and at the server; where that cannot be asked, it expires there.
export async function discard(entry) {
  forget(entry);
  await ask("DELETE", entry.url, { headers: TUS });
}

const sending = new Set();
addEventListener("pagehide", () => { for (const entry of sending) keep(entry, {}, 0); });

// One request. Resolves with its status, 0 where no answer came.
export function ask(method, url, { headers = {}, body = null, signal, progress } = {}) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries({ Accept: "application/json", ...headers })) request.setRequestHeader(name, value);
    if (progress) request.upload.addEventListener("progress", (event) => progress(event.loaded));
    const abort = () => request.abort();
    request.addEventListener("loadend", () => {
      signal?.removeEventListener("abort", abort);
      resolve({ status: request.status, text: request.responseText, header: (name) => request.getResponseHeader(name) });
    });
    signal?.addEventListener("abort", abort);
    request.send(body);
  });
}

function rest(seconds, signal) {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, seconds * 1000);
    addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}

// The answer to `step` once it is one that stays; `waiting` is told of those that pass, and for how many seconds.
export async function patiently(step, { file, signal, waiting }) {
  for (let tries = 0; ; tries += 1) {
    const answer = await step(tries);
    signal.throwIfAborted();
    const passes = PASSING.has(answer.status) || (PERHAPS.has(answer.status) && tries < TRIES);
    if (!passes) return answer;
    // A file that was changed or removed looks like a line that was cut.
    if (answer.status === 0 && !await readable(file)) return { ...answer, status: UNREADABLE };
    const seconds = Number(answer.header?.("Retry-After")) || WAITS[Math.min(tries, WAITS.length - 1)];
    waiting(answer, seconds);
    await rest(seconds, signal);
    signal.throwIfAborted();
  }
}

async function readable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

// What a server tells of the bytes that it has is the SHA-256 of these.
async function isSame(file, told) {
  if (!told || !crypto.subtle) return false;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return told.includes(`sha-256=:${btoa(String.fromCharCode(...digest))}:`);
}

// The one way in which bytes are sent. `place` has the URLs of the file and of new uploads, `replace` and whose it is;
// or `entry`, what was begun. Resolves with a status (201: it is there) and a text; `signal` ends it.
export function send(file, place, how) {
  return place.entry || (file.size > AT_ONCE && place.begin) ? inSlices(file, place, how) : whole(file, place, how);
}

async function whole(file, place, how) {
  const headers = place.replace ? BINARY : { ...BINARY, "If-None-Match": "*" };
  let lost = false; // whether an attempt may have stored it, without our knowing
  return patiently(async () => {
    const one = await ask("PUT", place.url, { headers, body: file, signal: how.signal, progress: how.progress });
    if (lost && one.status === 412) {
      const there = await ask("HEAD", place.url, { signal: how.signal });
      if (await isSame(file, there.header("Repr-Digest"))) return { ...one, status: 201 };
    }
    lost ||= one.status === 0;
    return one;
  }, { ...how, file });
}

async function inSlices(file, place, how) {
  let entry = place.entry ?? null;
  if (entry && heldElsewhere(entry)) return { status: ELSEWHERE, text: "" };
  let offset = null; // null: the server is to be asked
  let kept = 0; // when it was
  const { signal } = how;
  const progress = (sent) => {
    how.progress(sent);
    if (entry && Date.now() - kept > 1000) {
      kept = Date.now();
      keep(entry, {});
    }
  };
  const step = async () => {
    if (!entry) return begin(file, place, signal);
    if (offset === null) return ask("HEAD", entry.url, { headers: TUS, signal });
    const body = file.slice(offset, offset + SLICE);
    const headers = { ...TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": String(offset) };
    const from = offset;
    offset = null;
    return ask("PATCH", entry.url, { headers, body, signal, progress: (sent) => progress(from + sent) });
  };
  const waiting = (answer, seconds) => {
    if (entry) keep(entry, {}, seconds + 90); // as timers of a tab that nobody looks at are late
    how.waiting(answer, seconds);
  };
  try {
    for (;;) {
      const answer = await patiently(step, { file, signal, waiting });
      if (!entry && answer.status === 201) how.began(entry = recorded(file, place, answer));
      else if (![200, 204].includes(answer.status)) return refused(entry, answer);
      offset = Number(answer.header("Upload-Offset"));
      if (offset === file.size) {
        forget(entry);
        return { status: 201, text: "" };
      }
      const expires = Date.parse(answer.header("Upload-Expires")) || entry.expires;
      keep(entry, { sent: offset, expires });
      sending.add(entry);
      how.progress(offset);
    }
  } finally {
    sending.delete(entry);
    if (entry && remembered(entry)) keep(entry, {}, 0);
  }
}

function begin(file, place, signal) {
  const path = btoa(String.fromCharCode(...new TextEncoder().encode(place.name)));
  const headers = { ...TUS, "Upload-Length": String(file.size), "Upload-Metadata": `path ${path}` };
  if (!place.replace) headers["If-None-Match"] = "*";
  return ask("POST", place.begin, { headers, signal });
}

function recorded(file, place, answer) {
  // Below the path that this page was told, as a proxy may have us under several names.
  const url = place.uploads + answer.header("Location").split("/").pop();
  return { url, user: place.user, place: place.place, name: place.name, size: file.size, modified: file.lastModified };
}

// An upload that cannot go on is none any more.
function refused(entry, answer) {
  if (entry && [400, 404, 410, 412, 413].includes(answer.status)) forget(entry);
  return answer;
}
