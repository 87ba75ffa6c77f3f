"use strict";
// Everything works without this file; with it there are copy buttons, results as one types, and "/".

function copyButtons(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
}

function liveSearch(form) {
  const field = form.querySelector("input[type=search]");
  let latest = 0, timer;
  const show = async () => {
    const number = ++latest;
    const asked = new URL(form.action);
    for (const [name, value] of new FormData(form)) if (value) asked.searchParams.append(name, value);
    const answer = await fetch(asked, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer || !answer.ok || number !== latest) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (number !== latest) return;
    document.getElementById("results").replaceWith(page.getElementById("results"));
    document.title = page.title;
    history.replaceState(null, "", asked);
    openFacets();
    copyButtons(document.getElementById("results"));
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(show, 120);
  });
}

// On a wide screen the filters stand open; on a phone one opens them.
function openFacets() {
  const facets = document.querySelector(".facets details");
  if (facets) facets.open = matchMedia("(min-width: 60rem)").matches;
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  document.querySelector("input[type=search]").focus();
});

document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.pick[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

copyButtons(document);
openFacets();
for (const form of document.querySelectorAll("form[data-live]")) liveSearch(form);
