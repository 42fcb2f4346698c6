// Finds types and parameters by a word, and opens the type an address names. Without it the page reads as well.
(() => {
  "use strict";
  const types = [...document.querySelectorAll("details.type")];
  const sieve = document.querySelector(".sieve");
  const field = sieve.querySelector("input");
  const told = sieve.querySelector("output");
  const rows = (type) => [...type.querySelectorAll("tbody tr")];

  const search = () => {
    const word = field.value.trim().toLowerCase();
    let shown = 0;
    for (const type of types) {
      const named = type.dataset.name.toLowerCase().includes(word);
      const hits = rows(type).filter((row) => row.dataset.code.includes(word));
      for (const row of rows(type)) row.hidden = word !== "" && !named && !hits.includes(row);
      type.hidden = word !== "" && !named && hits.length === 0;
      type.open = word.length > 1 && !type.hidden && !named;
      if (!type.hidden) shown += 1;
    }
    told.textContent = word === "" ? "" : `${shown} of ${types.length} types`;
  };

  const openNamed = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target instanceof HTMLDetailsElement) target.open = true;
  };

  sieve.hidden = false;
  field.addEventListener("input", search);
  addEventListener("hashchange", openNamed);
  for (const link of document.querySelectorAll('a[href^="#type-"]')) {
    link.addEventListener("click", () => {
      field.value = "";
      search();
      document.getElementById(link.hash.slice(1)).open = true;
    });
  }
  openNamed();
})();
