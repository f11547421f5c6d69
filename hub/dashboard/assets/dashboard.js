// Keeps a page up to date. The stream says only that there is something new; the
// page then fetches itself again and changes what differs, so that scrolling,
// focus, selected text and opened details stay. Everything else works without this.

const live = document.querySelector("#live");
const main = () => document.querySelector("#main");

// The hub's clock, whatever this machine's says.
let made = { hub: Number(main().dataset.now), here: performance.now() };
const now = () => made.hub + performance.now() - made.here;

function say(state, words) {
  if (!live || live.dataset.state === state) return;
  live.dataset.state = state;
  live.querySelector(".words").textContent = words;
}

// Ages, in the same words as the hub's.

function lasting(seconds) {
  if (seconds < 60) return `${Math.max(Math.trunc(seconds), 0)} s`;
  if (seconds < 3600) return `${Math.trunc(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.trunc(seconds / 3600)} h`;
  return `${Math.trunc(seconds / 86400)} d`;
}

function refreshAges() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const seconds = (now() - Date.parse(time.dateTime)) / 1000;
    let text = lasting(seconds);
    if (!("lasts" in time.dataset)) text = seconds < 1 ? "just now" : `${text} ago`;
    if (time.textContent !== text) time.textContent = text;
  }
}

// Changing one tree into another. Elements with an id are the same element
// wherever they stand; others are, if they stand in the same place.

function morph(from, to) {
  if ("keep" in (from.dataset ?? {})) return; // what is shown once
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !mine(from, name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !mine(from, name)) from.setAttribute(name, value);
  }
  let child = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const same = find(from, child, wanted);
    if (!same) {
      from.insertBefore(document.importNode(wanted, true), child);
      continue;
    }
    if (same !== child) from.insertBefore(same, child);
    else child = child.nextSibling;
    if (same.nodeType === Node.ELEMENT_NODE) morph(same, wanted);
    else if (same.data !== wanted.data) same.data = wanted.data;
  }
  while (child) {
    const next = child.nextSibling;
    child.remove();
    child = next;
  }
}

// mine tells what belongs to the person at the page and not to the hub.
function mine(element, name) {
  return (element.localName === "details" && name === "open") || element.matches("input, select, option");
}

function find(parent, child, wanted) {
  if (wanted.id) {
    const same = document.getElementById(wanted.id);
    return same?.parentNode === parent && same.nodeName === wanted.nodeName ? same : null;
  }
  return child && !child.id && child.nodeName === wanted.nodeName ? child : null;
}

// Following the hub.

let wanted = ""; // the newest version that the hub spoke of
let fetching = false;

async function update() {
  if (fetching) return;
  fetching = true;
  try {
    for (let last = ""; last !== wanted && wanted !== main().dataset.version; ) {
      last = wanted; // what is spoken of meanwhile is fetched after
      const begin = performance.now();
      const response = await fetch(main().dataset.source ?? location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (response.redirected) return location.assign(response.url); // signed out
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const next = page.querySelector("#main");
      if (!next) throw new Error(`the hub answered ${response.status}`);
      made = { hub: Number(next.dataset.now), here: performance.now() };
      morph(main(), next);
      document.title = page.title;
      refreshAges();
      // A large page in a busy fleet takes at most a fifth of the time.
      await new Promise((resolve) => setTimeout(resolve, 4 * (performance.now() - begin)));
    }
    say("on", "Live");
  } catch {
    say("lost", "The hub does not answer: this may be old");
  } finally {
    fetching = false;
  }
}

let stream = null;
const follows = "version" in main().dataset; // the answer to a form does not: it cannot be fetched again

function follow() {
  stream = new EventSource("/events");
  stream.onopen = () => say("on", "Live");
  stream.onmessage = (event) => {
    wanted = event.data;
    update();
  };
  stream.onerror = () => {
    say("lost", "The hub does not answer: this may be old");
    if (stream?.readyState !== EventSource.CLOSED) return;
    stream = null; // refused: the page itself says why, when it is asked for
    wanted = "again";
    update().then(() => setTimeout(() => document.hidden || stream || follow(), 2000));
  };
}

// A page that nobody sees holds no stream: browsers allow only a few per hub.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    stream?.close();
    stream = null;
  } else if (follows && !stream) {
    follow();
  }
});

document.addEventListener("keydown", (event) => {
  const search = document.querySelector("#q");
  if (event.key !== "/" || !search || event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  search.select();
});

document.addEventListener("change", (event) => {
  if (event.target.matches(".filter select")) event.target.form.requestSubmit();
});

setInterval(refreshAges, 1000);
if (follows) say("wait", "Connecting");
if (follows && !document.hidden) follow();
