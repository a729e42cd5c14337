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
