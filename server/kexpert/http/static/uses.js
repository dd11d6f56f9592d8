// Who calls a name, what it calls and where it is used: sections that are asked for when they are opened.

import { ask, make, placeList } from "./api.js";

const COUNT = 100;
const CALLABLE = ["function", "macro", "prototype", "syscall", "tracepoint", "asm_label", "system call"];

function section(title, isOpen, load) {
  const count = make("span", {});
  const box = make("details", {}, make("summary", {}, `${title} `, count));
  let isLoaded = false;
  box.addEventListener("toggle", async () => {
    if (!box.open || isLoaded) {
      return;
    }
    isLoaded = true;
    const wait = make("p", { class: "wait" }, "…");
    box.append(wait);
    try {
      const [total, list, note] = await load();
      count.textContent = total.toLocaleString("en");
      wait.replaceWith(list);
      if (note) {
        box.append(make("p", { class: "wait" }, note));
      }
    } catch (problem) {
      isLoaded = false;
      wait.replaceWith(make("p", { class: "trouble" }, problem.message));
    }
  });
  box.open = isOpen;
  return box;
}

function more(total, shown) {
  return total > shown ? `and ${(total - shown).toLocaleString("en")} more` : "";
}

function calls(title, path, at, here, isOpen) {
  return section(title, isOpen, async () => {
    const found = await ask(path, { ...at, limit: COUNT });
    const places = found.calls.flatMap(({ symbol, places }) =>
      (places.length ? places : [symbol]).map((place) => ({ ...place, name: symbol.name })));
    const list = placeList(places, here);
    if (found.passed_on?.length) {
      list.append(make("li", { class: "path" }, "passed on as a pointer"), ...placeList(found.passed_on, here).children);
    }
    return [found.total, list, more(found.total, found.calls.length)];
  });
}

function places(title, path, at, here, isOpen) {
  return section(title, isOpen, async () => {
    const found = await ask(path, { ...at, limit: COUNT });
    return [found.total, placeList(found.places, here), more(found.total, found.places.length)];
  });
}

/** Sections about the name at a place; `what` is what its card says it is. */
export function useSections(at, what, here = "", wanted = "") {
  const isCallable = CALLABLE.some((kind) => what.includes(kind));
  const found = [];
  if (isCallable) {
    found.push(calls("Callers", "/callers", at, here, wanted !== "references"));
    found.push(calls("Calls", "/callees", at, here, false));
  }
  if (what === "member") {
    found.push(places("Implementations", "/implementation", at, here, true));
  }
  found.push(places("References", "/references", at, here, !isCallable || wanted === "references"));
  return found;
}

/** The page about one name. */
export function symbolPage(about, uses) {
  const { path, line, column } = about.dataset;
  const kind = about.querySelector(".name span").textContent;
  const box = make("section", { id: "panel-like" }, make("h2", {}, "Used"));
  box.append(...useSections({ path, line, column }, kind));
  uses.append(box);
}
