// Labels by keys. The server renders each item; here it is only swapped in place of the last one.
//
// A key typed while a label is on its way waits in `waiting` and is used on the item that comes then, so
// that typing ahead loses nothing. Without this file the same forms work as plain pages.
"use strict";

const panel = document.getElementById("panel");
const shortcuts = document.getElementById("shortcuts");
const IDLE_AFTER = 60000; // milliseconds without a sign of life that no longer count as work

const waiting = [];
let sending = false;
let unsent = null; // what could not be sent; Enter sends it again before anything else

let activeMilliseconds = 0;
let lastSign = Date.now();

function countActivity() {
  const now = Date.now();
  if (!document.hidden) activeMilliseconds += Math.min(now - lastSign, IDLE_AFTER);
  lastSign = now;
}
for (const sign of ["keydown", "pointerdown", "pointermove", "scroll"]) {
  document.addEventListener(sign, countActivity, { passive: true, capture: true });
}
document.addEventListener("visibilitychange", () => {
  // What was before a hidden page became visible again was no work.
  if (document.hidden) countActivity();
  lastSign = Date.now();
});

function takesText(element) {
  return element instanceof HTMLElement && element.matches("textarea, input[type=text], input:not([type])");
}

function keysAreOn() {
  return shortcuts === null || shortcuts.checked;
}

document.addEventListener("keydown", (event) => {
  if (!keysAreOn() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const ahead = sending || waiting.length > 0;
  if (!ahead && takesText(event.target)) return;
  const native = event.target.matches?.("a, button, summary, input[type=checkbox]");
  if (!ahead && native && (event.key === "Enter" || event.key === " ")) return;
  if (event.key.length > 1 && event.key !== "Enter" && event.key !== "Backspace") return;
  if (!ahead && event.key !== "Enter" && !means(event.key)) return;
  event.preventDefault();
  waiting.push(event.key);
  useKeys();
});

function means(key) {
  return panel.querySelector(`[data-key="${CSS.escape(key.toLowerCase())}"]`);
}

function useKeys() {
  while (waiting.length > 0 && !sending) useKey(waiting.shift());
}

function useKey(key) {
  if (unsent !== null) {
    if (key === "Enter") send(...unsent);
    return;
  }
  const field = document.activeElement;
  if (takesText(field) && panel.contains(field)) {
    typeInto(field, key);
    return;
  }
  if (key === "Enter") {
    const form = panel.querySelector("form[data-main]");
    if (form === null) return;
    if (form.querySelector("input[type=radio]:checked") === null) say("Pick one first, then Enter.");
    else form.requestSubmit();
    return;
  }
  const meant = means(key);
  if (meant === null) return;
  if (meant.matches("input[type=radio]")) {
    meant.checked = true;
    meant.focus({ preventScroll: true });
  } else if (meant.matches("input[type=checkbox]")) {
    meant.checked = !meant.checked;
  } else if (meant.matches("details")) {
    meant.open = !meant.open;
    if (meant.open) meant.querySelector("textarea, input[type=text]")?.focus();
  } else {
    meant.click();
  }
}

function typeInto(field, key) {
  if (key === "Enter") field.form.requestSubmit();
  else if (key === "Backspace") field.value = field.value.slice(0, -1);
  else field.value += key;
}

function say(text) {
  panel.querySelector("[data-said]").textContent = text;
}

panel.addEventListener("submit", (event) => {
  event.preventDefault();
  if (sending) return;
  const form = event.target;
  const data = new FormData(form, event.submitter);
  if (form.matches("[data-main]")) {
    countActivity();
    data.set("active_seconds", (activeMilliseconds / 1000).toFixed(1));
  }
  send(form.action, new URLSearchParams(data));
});

async function send(address, body) {
  sending = true;
  unsent = null;
  try {
    const answer = await fetch(address, {
      method: "POST",
      body,
      headers: { "X-Requested-With": "fetch" },
      redirect: "error",
    });
    if (answer.status >= 500) throw new Error(answer.statusText);
    show(await answer.text());
  } catch {
    unsent = [address, body];
    say("Not saved: the server does not answer. Nothing is lost; press Enter to try again.");
  }
  sending = false;
  if (unsent === null) useKeys();
}

function show(html) {
  const before = panel.querySelector("[data-item]")?.dataset.item;
  const picked = [...panel.querySelectorAll("form[data-main] input:checked")].map((input) => input.value);
  panel.innerHTML = html; // rendered and escaped by the server, as the first item was
  const item = panel.querySelector("[data-item]")?.dataset.item;
  if (item !== undefined && item === before) {
    // The same item again, after a flag: what was picked stays picked.
    for (const input of panel.querySelectorAll("form[data-main] input")) {
      if (picked.includes(input.value)) input.checked = true;
    }
  } else {
    activeMilliseconds = 0;
    lastSign = Date.now();
  }
  panel.querySelector("[data-focus]")?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

if (shortcuts !== null) {
  shortcuts.checked = localStorage.getItem("shortcuts") !== "off";
  shortcuts.closest("[hidden]")?.removeAttribute("hidden");
  shortcuts.addEventListener("change", () => {
    localStorage.setItem("shortcuts", shortcuts.checked ? "on" : "off");
  });
}
