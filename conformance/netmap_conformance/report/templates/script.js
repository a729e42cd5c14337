"use strict";
(() => {
  const query = document.getElementById("q");
  const gaps = document.getElementById("gaps");
  const generation = document.getElementById("gen");
  const table = document.querySelector(".matrix");
  if (!query || !table) return;
  const rows = [...table.querySelectorAll("tbody tr")];
  const shown = document.getElementById("shown");
  const filter = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    let area = null, inArea = 0, total = 0;
    const close = () => { if (area) area.hidden = inArea === 0; };
    for (const row of rows) {
      if (row.classList.contains("area")) { close(); area = row; inArea = 0; continue; }
      const text = row.textContent.toLowerCase();
      row.hidden = !(words.every(w => text.includes(w))
        && (!gaps.checked || row.dataset.gap === "1")
        && (!generation.value || row.dataset.gen === generation.value));
      if (!row.hidden) { inArea += 1; total += 1; }
    }
    close();
    shown.textContent = `${total} clauses`;
  };
  for (const control of [query, gaps, generation]) control.addEventListener("input", filter);
  filter();
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target && target.parentElement; at; at = at.parentElement)
      if (at.tagName === "DETAILS") at.open = true;
    if (target && target.tagName === "DETAILS") target.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
})();
(() => {
  const query = document.getElementById("bq");
  const pages = document.querySelector(".pages");
  if (!query || !pages) return;
  const shown = document.getElementById("bshown");
  const levels = [...document.querySelectorAll(".lv")];
  const clauses = [...pages.querySelectorAll(".clause")].map(e => ({ e, text: e.textContent.toLowerCase() }));
  const tables = [...document.querySelectorAll(".abi")].map(e => ({ e, text: e.textContent.toLowerCase() }));
  const entries = new Map([...document.querySelectorAll(".toc [data-for]")].map(e => [e.dataset.for, e]));
  const folds = [...document.querySelectorAll(".toc details")];
  const search = () => {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(levels.filter(l => l.checked).map(l => l.value));
    const all = !words.length && wanted.size === levels.length;
    let count = 0;
    for (const { e, text } of clauses) {
      e.hidden = !(wanted.has(e.dataset.level) && words.every(w => text.includes(w)));
      if (!e.hidden) count += 1;
      const entry = entries.get(e.id);
      if (entry) entry.hidden = e.hidden;
    }
    for (const { e, text } of tables) {
      e.hidden = !words.every(w => text.includes(w));
      const entry = entries.get(e.id);
      if (entry) entry.hidden = e.hidden;
    }
    for (const chapter of pages.querySelectorAll(".chapter"))
      chapter.hidden = !all && !chapter.querySelector(".clause:not([hidden])");
    for (const intro of pages.querySelectorAll(".part, .how, .chapter > .intro, .chapter > figure")) intro.hidden = !all;
    for (const older of pages.querySelectorAll(".older")) if (words.length) older.open = true;
    for (const fold of folds) {
      const some = fold.querySelector("li:not([hidden])");
      fold.parentElement.hidden = !some;
      if (!all) fold.open = Boolean(some) && count < 60;
    }
    for (const part of document.querySelectorAll(".toc-part"))
      part.hidden = !all && !part.querySelector("li li:not([hidden]), [data-for]:not([hidden])");
    const found = tables.filter(t => !t.e.hidden).length;
    shown.textContent = all ? `${clauses.length} clauses` : `${count} of ${clauses.length} clauses, ${found} of ${tables.length} tables`;
  };
  for (const control of [query, ...levels]) control.addEventListener("input", search);
  addEventListener("keydown", event => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      document.getElementById("clauses").scrollIntoView();
      query.focus();
    }
  });
  search();
  if (!("IntersectionObserver" in window)) return;
  const links = new Map([...document.querySelectorAll(".toc summary a")].map(a => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver(changes => {
    for (const change of changes) {
      const link = links.get(change.target.id);
      if (link) link.classList.toggle("here", change.isIntersecting);
    }
  }, { rootMargin: "-10% 0px -70% 0px" });
  for (const chapter of pages.querySelectorAll(".chapter")) seen.observe(chapter);
})();
