"use strict";

// find returns the sections of the index in which every word of the query occurs, the best
// first. A word counts most in a title, then in a heading, then in the text; a whole word
// counts more than a part of one.
function find(index, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return [];
  const weight = (text, word) => {
    const at = text.indexOf(word);
    if (at < 0) return 0;
    const edge = (i) => i < 0 || i >= text.length || !/[a-z0-9]/.test(text[i]);
    return edge(at - 1) && edge(at + word.length) ? 3 : edge(at - 1) ? 2 : 1;
  };
  const found = [];
  for (const entry of index) {
    const title = entry.t.toLowerCase(), heading = (entry.h || "").toLowerCase(), text = entry.x.toLowerCase();
    let score = 0;
    const all = words.every((word) => {
      const inTitle = weight(title, word) * (entry.h ? 2 : 12);
      const points = inTitle + weight(heading, word) * 8 + weight(text, word);
      score += points;
      return points > 0;
    });
    if (all) found.push({ entry, score });
  }
  found.sort((a, b) => b.score - a.score);
  return found.slice(0, 12).map((f) => f.entry);
}

// excerpt returns the part of a text around the first word of the query.
function excerpt(text, query) {
  const word = query.toLowerCase().split(/\s+/).filter(Boolean)[0] || "";
  const at = Math.max(0, text.toLowerCase().indexOf(word));
  const from = at < 40 ? 0 : text.indexOf(" ", at - 40) + 1;
  const part = text.slice(from, from + 140);
  return (from > 0 ? "… " : "") + part + (from + 140 < text.length ? " …" : "");
}

// searchIndex is called by search-index.js.
let searchIndex;

if (typeof document !== "undefined") {
  const script = document.currentScript;
  const form = document.querySelector("[role=search]");
  const input = form.querySelector("input");
  const results = form.querySelector("[role=status]");
  let index;

  const show = () => {
    const query = input.value.trim();
    results.replaceChildren();
    results.hidden = query === "";
    if (query === "" || !index) return;
    const found = find(index, query);
    if (found.length === 0) results.textContent = "Nothing found.";
    for (const entry of found) {
      const link = document.createElement("a");
      link.href = new URL(entry.p + (entry.a ? "#" + entry.a : ""), script.src).href;
      const title = document.createElement("strong");
      title.textContent = entry.h ? entry.t + ": " + entry.h : entry.t;
      const text = document.createElement("span");
      text.textContent = excerpt(entry.x, query);
      link.append(title, text);
      link.addEventListener("click", () => { results.hidden = true; });
      results.append(link);
    }
  };
  searchIndex = (entries) => { index = entries; show(); };

  // The index is loaded when somebody searches.
  const load = () => {
    if (load.done) return;
    load.done = true;
    const tag = document.createElement("script");
    tag.src = new URL("search-index.js", script.src).href;
    document.head.append(tag);
  };

  form.hidden = false; // without scripts there is no search
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const first = results.querySelector("a");
    if (first) { first.click(); }
  });
  input.addEventListener("focus", load);
  input.addEventListener("input", show);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { input.value = ""; show(); }
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing) { event.preventDefault(); input.focus(); }
  });
  document.addEventListener("click", (event) => {
    if (!form.contains(event.target)) results.hidden = true;
  });
}
