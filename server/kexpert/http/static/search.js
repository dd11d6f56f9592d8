// Results as one types.

import { ask, make, sourceLink, symbolLink } from "./api.js";

const QUIET_MS = 110;
const COUNT = 12;

export function searchBox(input, list) {
  let timer, running, chosen = -1;

  function close() {
    list.hidden = true;
    chosen = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function choose(at) {
    const options = [...list.querySelectorAll("[role=option]")];
    chosen = options.length ? (at + options.length) % options.length : -1;
    options.forEach((option, number) => option.setAttribute("aria-selected", String(number === chosen)));
    if (chosen >= 0) {
      options[chosen].scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", options[chosen].id);
    }
  }

  function option(kind, title, at, href) {
    const number = list.querySelectorAll("[role=option]").length;
    const item = make(
      "li", { role: "option", id: `result-${number}`, "aria-selected": "false" },
      make("span", { class: "kind" }, kind), make("span", { class: "title" }, title),
      ...(at ? [make("span", { class: "at" }, at)] : []),
    );
    item.dataset.href = href;
    list.append(item);
  }

  function show(found) {
    list.replaceChildren();
    const isDeclaration = ({ kind }) => kind === "prototype" || kind === "declaration";
    const defined = new Set(found.results.filter((hit) => !isDeclaration(hit)).map((hit) => hit.name));
    for (const hit of found.results.filter((hit) => !isDeclaration(hit) || !defined.has(hit.name))) {
      const name = hit.name || hit.path.split("/").at(-1);
      const place = `${hit.path}:${hit.line}`;
      option(hit.kind, hit.scope ? `${name} of ${hit.scope}` : name, place, sourceLink(hit.path, hit.line));
    }
    for (const path of found.files) {
      option("file", path, "", sourceLink(path));
    }
    const first = found.results[0];
    if (found.mode === "name" && first && first.name === found.query) {
      option("all", `Everything about ${found.query}`, "", symbolLink(found.query));
    }
    if (!list.children.length) {
      list.append(make("li", { class: "note" }, `Nothing found for “${found.query}”.`));
    }
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    choose(0);
  }

  async function search() {
    const query = input.value.trim();
    running?.abort();
    if (query.length < 2) {
      close();
      return;
    }
    running = new AbortController();
    try {
      const found = await ask("/search", { q: query, limit: COUNT }, running.signal);
      if (input.value.trim() === query && document.activeElement === input) {
        show(found);
      }
    } catch (problem) {
      if (problem.name !== "AbortError") {
        list.replaceChildren(make("li", { class: "note" }, problem.message));
        list.hidden = false;
      }
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, QUIET_MS);
  });
  input.addEventListener("focus", () => input.value && search());
  input.addEventListener("blur", () => setTimeout(close, 150));
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
      event.preventDefault();
    } else if (event.key === "Enter" && !list.hidden && chosen >= 0 && !event.ctrlKey) {
      event.preventDefault();
      location.assign(list.querySelectorAll("[role=option]")[chosen].dataset.href);
    } else if (event.key === "Escape") {
      if (list.hidden) {
        input.blur();
      }
      close();
    }
  });
  list.addEventListener("pointerdown", (event) => {
    const item = event.target.closest("[role=option]");
    if (item && event.button === 0) {
      event.preventDefault();
      location.assign(item.dataset.href);
    }
  });
  return {
    focus() {
      input.focus();
      input.select();
    },
  };
}
