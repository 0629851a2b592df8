// Keys for the practice items: 1 to 6 pick, H folds, Enter goes on. The page works without this file.
"use strict";

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if (event.target.closest("a, button, input[type=text], textarea, select")) return;
  const form = document.getElementById("practice");
  const next = document.getElementById("next");
  if (event.key === "Enter") {
    event.preventDefault();
    if (form) form.requestSubmit();
    else if (next) next.click();
  } else if (event.key.toLowerCase() === "h") {
    const response = document.querySelector('[data-key="h"]');
    if (response) response.open = !response.open;
  } else if (form && /^[1-6]$/.test(event.key)) {
    const picked = form.querySelector(`[data-key="${event.key}"]`);
    if (picked) {
      picked.checked = true;
      picked.focus();
    }
  }
});
