// Search in the claims, open what a link names, and print everything. The page works without it.
const rows = [...document.querySelectorAll(".claim-row")];
const tools = document.querySelector(".search");
const field = document.querySelector("#search");
const count = document.querySelector("#count");
const toggle = document.querySelector("#toggle");

function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.classList.toggle("other", !words.every((word) => text.includes(word)));
  }
  tell();
}

function tell() {
  const seen = rows.filter((row) => row.offsetParent !== null).length;
  count.textContent = `${seen} of ${rows.length} claims`;
}

function open(all) {
  for (const row of rows) row.open = all;
  toggle.textContent = all ? "Close all" : "Open all";
}

function follow() {
  const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (row && row.matches(".claim-row")) {
    row.classList.remove("other");
    const shown = document.getElementById(row.dataset.filter);
    if (shown) shown.checked = true;
    row.open = true;
    tell();
    row.scrollIntoView();
  }
}

if (field) {
  tools.hidden = false;
  field.addEventListener("input", search);
  toggle.addEventListener("click", () => open(toggle.textContent === "Open all"));
  for (const box of document.querySelectorAll(".filter input")) box.addEventListener("change", tell);
  addEventListener("hashchange", follow);
  let before = [];
  addEventListener("beforeprint", () => {
    before = rows.map((row) => row.open);
    for (const row of rows) row.open = true;
  });
  addEventListener("afterprint", () => rows.forEach((row, k) => (row.open = before[k])));
  tell();
  follow();
}
