"use strict";
// A page works without this script; with it, the columns of tables can be sorted.
const numberOf = (text) => {
  const found = text.replace(/,/g, "").match(/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/i);
  return found ? Number(found[0]) : NaN;
};
const valueOf = (row, column) => row.cells[column].textContent.trim();

function sortBy(table, column, button) {
  const heading = button.parentElement;
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows];
  const isEmpty = (text) => text === "" || text === "-";
  const texts = new Map(rows.map((row) => [row, valueOf(row, column)]));
  const numbers = rows.every((row) => isEmpty(texts.get(row)) || !Number.isNaN(numberOf(texts.get(row))));
  const order = new Intl.Collator(undefined, { numeric: true });
  rows.sort((one, other) => {
    const [a, b] = [texts.get(one), texts.get(other)];
    if (isEmpty(a) || isEmpty(b)) return isEmpty(a) - isEmpty(b); // no value: last, in both directions
    const sign = rising ? 1 : -1;
    return sign * (numbers ? numberOf(a) - numberOf(b) : order.compare(a, b));
  });
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    button.addEventListener("click", () => sortBy(table, column, button));
    heading.replaceChildren(button);
  });
}

// A link to something inside a closed block opens the block.
function openTarget() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const block = target && target.closest("details");
  if (block && !block.open) {
    block.open = true;
    target.scrollIntoView();
  }
}
addEventListener("hashchange", openTarget);
openTarget();

// On paper nothing can be opened.
const closed = [];
addEventListener("beforeprint", () => {
  for (const block of document.querySelectorAll("details:not([open])")) {
    block.open = true;
    closed.push(block);
  }
});
addEventListener("afterprint", () => {
  for (const block of closed.splice(0)) block.open = false;
});
