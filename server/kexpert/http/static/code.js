// A file: cards under the pointer, what is known of a name beside the code, chosen lines, keys.

import { ask, make, placeList, say, sourceLink, symbolLink } from "./api.js";
import { useSections } from "./uses.js";

const HOVER_MS = 220;
const LEAVE_MS = 180;

export function codePage(code) {
  const panel = document.getElementById("panel");
  const card = document.getElementById("card");
  const toggle = document.getElementById("toggle");
  const path = code.dataset.path;
  const isSmall = matchMedia("(max-width: 60rem)");
  let here = null; // the name of the keys
  let atLine = null;
  let pending = ""; // the first key of two
  let opened = 0; // counts what was asked for the panel

  const lineOf = (element) => element.closest(".lines > div");
  const numberOf = (line) => Number(line.id.slice(1));

  /** Where a name is, as the API counts: lines and characters from 1. */
  function placeOf(link) {
    const line = lineOf(link);
    const range = document.createRange();
    range.setStart(line.lastChild, 0);
    range.setEndBefore(link);
    return { path, line: numberOf(line), column: [...range.toString()].length + 1 };
  }

  // -- the card ------------------------------------------------------------------------------

  let hoverTimer, leaveTimer, shownFor = null;

  function hideCard() {
    clearTimeout(hoverTimer);
    card.hidden = true;
    shownFor = null;
  }

  async function showCard(link) {
    if (shownFor === link) {
      return;
    }
    shownFor = link;
    const { card: found } = await ask("/hover", placeOf(link)).catch(() => ({ card: null }));
    if (shownFor !== link || !found) {
      if (shownFor === link) {
        hideCard();
      }
      return;
    }
    card.innerHTML = found.html; // made and escaped by the server
    card.append(make("p", { class: "hint" }, "click: all about it · g d or Alt+click: definition"));
    card.hidden = false;
    const at = link.getBoundingClientRect();
    const size = card.getBoundingClientRect();
    const below = at.bottom + 6 + size.height < innerHeight || at.top < innerHeight / 2;
    card.style.left = `${Math.max(8, Math.min(at.left, innerWidth - size.width - 12))}px`;
    card.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - size.height - 6)}px`;
    card.scrollTop = 0;
  }

  code.addEventListener("pointerover", (event) => {
    const link = event.target.closest('a[href^="/symbol/"]');
    if (!link || event.pointerType !== "mouse") {
      return;
    }
    clearTimeout(leaveTimer);
    clearTimeout(hoverTimer);
    hoverTimer = setTimeout(() => showCard(link), HOVER_MS);
  });
  code.addEventListener("pointerout", () => {
    clearTimeout(hoverTimer);
    leaveTimer = setTimeout(hideCard, LEAVE_MS);
  });
  card.addEventListener("pointerenter", () => clearTimeout(leaveTimer));
  card.addEventListener("pointerleave", () => {
    leaveTimer = setTimeout(hideCard, LEAVE_MS);
  });
  addEventListener("scroll", hideCard, { passive: true });

  // -- beside the code -----------------------------------------------------------------------

  function show(isOpen) {
    document.body.classList.toggle("closed", !isOpen);
    toggle.setAttribute("aria-expanded", String(isOpen));
  }

  function head(title) {
    const close = make("button", { type: "button", title: "Close (Esc)", "aria-label": "Close" }, "×");
    close.addEventListener("click", leave);
    return make("header", {}, make("h2", {}, title), close);
  }

  /** From a name back to the outline, from the outline to nothing. */
  function leave() {
    code.querySelectorAll(".same").forEach((link) => link.classList.remove("same"));
    if (panel.dataset.shows === "name" && !isSmall.matches) {
      outline();
    } else {
      show(false);
    }
  }

  async function outline() {
    const asked = ++opened;
    panel.dataset.shows = "outline";
    show(true);
    panel.replaceChildren(head("Outline"), make("p", { class: "wait" }, "…"));
    try {
      const found = await ask("/outline", { path });
      if (asked !== opened) {
        return;
      }
      const list = make("ul", { class: "outline" });
      for (const symbol of found.symbols) {
        const link = make("a", { href: `#L${symbol.line}`, title: symbol.kind }, symbol.name);
        link.append(make("span", {}, symbol.kind));
        list.append(make("li", {}, link));
      }
      panel.lastChild.replaceWith(found.symbols.length ? list : make("p", { class: "wait" }, "No names in this file."));
      markOutline();
    } catch (problem) {
      panel.lastChild.replaceWith(make("p", { class: "trouble" }, problem.message));
    }
  }

  /** Show in the outline what the line of the keys is part of. */
  function markOutline() {
    const links = atLine ? [...panel.querySelectorAll(".outline a")] : [];
    const lines = links.map((link) => Number(link.hash.slice(2)));
    const at = lines.findLastIndex((line) => line <= numberOf(atLine));
    links.forEach((link, number) => link.classList.toggle("current", number === at));
    if (at >= 0) {
      panel.scrollTop = Math.max(0, links[at].offsetTop - panel.clientHeight / 3);
    }
  }

  async function about(link, wanted = "") {
    const asked = ++opened;
    const name = link.textContent;
    const at = placeOf(link);
    hideCard();
    panel.dataset.shows = "name";
    panel.replaceChildren(head(name), make("p", { class: "wait" }, "…"));
    panel.scrollTop = 0;
    show(true);
    if (isSmall.matches) {
      lineOf(link).scrollIntoView({ block: "start" }); // else it is behind the panel
    }
    code.querySelectorAll(".same").forEach((other) => other.classList.remove("same"));
    code.querySelectorAll(`a[href="${CSS.escape(symbolLink(name)).replaceAll("\\/", "/")}"]`)
      .forEach((other) => other.classList.add("same"));
    try {
      const [hover, definition] = await Promise.all([ask("/hover", at), ask("/definition", at)]);
      if (asked !== opened) {
        return;
      }
      panel.lastChild.remove();
      const actions = make("div", { class: "actions" });
      const first = definition.places[0];
      if (first) {
        actions.append(make("a", { href: sourceLink(first.path, first.line) }, "Definition"));
      }
      const what = hover.card ? hover.card.what : "";
      if (["function", "macro"].some((kind) => what.includes(kind)) && first) {
        const button = make("button", { type: "button" }, "Explain");
        button.addEventListener("click", () => explain({ path: first.path, line: first.line, column: first.column }));
        actions.append(button);
      }
      if (!/local|label|parameter/.test(what)) {
        actions.append(make("a", { href: symbolLink(name) }, "Its page"));
      }
      panel.append(actions);
      const box = make("div", { class: "card" });
      if (hover.card) {
        box.innerHTML = hover.card.html; // made and escaped by the server
      } else {
        box.append("Nothing is known about this name here.");
      }
      panel.append(box);
      if (definition.places.length > 1) {
        const places = make("details", { open: true }, make("summary", {}, "Definitions ",
          make("span", {}, String(definition.places.length))), placeList(definition.places, path));
        panel.append(places);
      }
      panel.append(...useSections(at, what, path, wanted));
    } catch (problem) {
      panel.lastChild.replaceWith(make("p", { class: "trouble" }, problem.message));
    }
  }

  async function explain(at) {
    const asked = ++opened;
    panel.dataset.shows = "name";
    panel.replaceChildren(head("Explanation"), make("p", { class: "wait" }, "…"));
    show(true);
    try {
      const found = await ask("/explain", at);
      if (asked !== opened) {
        return;
      }
      const box = make("div", { class: "card explained" });
      box.innerHTML = found.html; // made and escaped by the server
      panel.lastChild.replaceWith(box);
      panel.scrollTop = 0;
      const worded = await ask("/explain", { ...at, model: true }).catch(() => found);
      if (asked === opened && worded.html !== found.html) {
        box.innerHTML = worded.html; // the same
      }
    } catch (problem) {
      panel.lastChild.replaceWith(make("p", { class: "trouble" }, problem.message));
    }
  }

  async function jump(link) {
    const { places } = await ask("/definition", placeOf(link)).catch(() => ({ places: [] }));
    if (places.length) {
      location.assign(sourceLink(places[0].path, places[0].line));
    } else {
      say("No definition of this name is known.");
    }
  }

  code.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.button !== 0) {
      return;
    }
    if (link.dataset.n) {
      event.preventDefault();
      chooseLines(event.shiftKey ? chosen()[0] : Number(link.dataset.n), Number(link.dataset.n));
    } else if (link.getAttribute("href").startsWith("/symbol/") && !event.shiftKey) {
      event.preventDefault();
      setHere(link, false);
      if (event.altKey) {
        jump(link);
      } else {
        about(link);
      }
    }
  });
  toggle.addEventListener("click", () => {
    if (document.body.classList.contains("closed") || panel.dataset.shows === "name") {
      outline();
    } else {
      show(false);
    }
  });

  // -- lines ---------------------------------------------------------------------------------

  /** The lines of the address: #L10 or #L10-L20. */
  function chosen() {
    const match = /^#L(\d+)(?:-L?(\d+))?$/.exec(location.hash);
    if (!match) {
      return [0, 0];
    }
    const [first, last] = [Number(match[1]), Number(match[2] || match[1])];
    return first <= last ? [first, last] : [last, first];
  }

  function chooseLines(from, to) {
    const [first, last] = from && from <= to ? [from, to] : [to, from || to];
    history.replaceState(null, "", `${location.pathname}${location.search}#L${first}${last > first ? `-L${last}` : ""}`);
    markLines(false);
  }

  function markLines(scrolls) {
    const [first, last] = chosen();
    code.querySelectorAll(".chosen").forEach((line) => line.classList.remove("chosen"));
    if (!first) {
      return;
    }
    if (first < Number(code.dataset.first) || first > Number(code.dataset.last)) {
      const size = Number(code.dataset.window);
      if (first <= Number(code.dataset.count)) {
        location.replace(`${location.pathname}?from=${Math.floor((first - 1) / size) * size + 1}${location.hash}`);
      }
      return;
    }
    for (let number = first; number <= Math.min(last, Number(code.dataset.last)); number++) {
      document.getElementById(`L${number}`).classList.add("chosen");
    }
    setLine(document.getElementById(`L${first}`), false);
    if (scrolls) {
      document.getElementById(`L${first}`).scrollIntoView({ block: first === last ? "center" : "start" });
    }
  }

  addEventListener("hashchange", () => markLines(true));

  // -- keys ----------------------------------------------------------------------------------

  function setLine(line, scrolls = true) {
    atLine?.classList.remove("at");
    atLine = line;
    atLine.classList.add("at");
    markOutline();
    if (scrolls) {
      line.scrollIntoView({ block: "nearest" });
    }
  }

  function setHere(link, scrolls = true) {
    here?.classList.remove("here");
    here = link;
    here.classList.add("here");
    setLine(lineOf(link), scrolls);
  }

  function namesOf(line) {
    return line ? [...line.querySelectorAll('a[href^="/symbol/"]')] : [];
  }

  function lineBeside(line, step) {
    return document.getElementById(`L${numberOf(line) + step}`);
  }

  /** The first line below the head of the page. */
  function topLine() {
    const top = code.parentElement.querySelector(".head").getBoundingClientRect().bottom;
    const found = document.elementsFromPoint(code.getBoundingClientRect().left + 80, top + 12)
      .map((element) => element.closest(".lines > div")).find(Boolean);
    return found || document.getElementById(`L${code.dataset.first}`);
  }

  function moveLine(step) {
    const next = atLine ? lineBeside(atLine, step) : topLine();
    if (next) {
      here?.classList.remove("here");
      here = null;
      setLine(next);
    }
  }

  function moveName(step) {
    let line = here ? lineOf(here) : atLine || topLine();
    const names = namesOf(line);
    const at = names.indexOf(here);
    let next = here ? names[at + step] : names[step > 0 ? 0 : names.length - 1];
    while (!next && (line = lineBeside(line, step))) {
      next = namesOf(line).at(step > 0 ? 0 : -1);
    }
    if (next) {
      setHere(next);
    }
  }

  /** The name of the keys; without one the first of the line. */
  function named() {
    return here || namesOf(atLine)[0];
  }

  function withName(act) {
    const link = named();
    if (link) {
      setHere(link);
      act(link);
    }
  }

  const acts = {
    j: () => moveLine(1),
    k: () => moveLine(-1),
    w: () => moveName(1),
    b: () => moveName(-1),
    K: () => withName((link) => showCard(link)),
    Enter: () => withName((link) => about(link)),
    gd: () => withName(jump),
    gr: () => withName((link) => about(link, "references")),
    e: () => atLine && explain({ path, line: numberOf(atLine), column: here ? placeOf(here).column : 1 }),
    y: async () => {
      if (atLine && !chosen()[0]) {
        chooseLines(numberOf(atLine), numberOf(atLine));
      }
      await navigator.clipboard?.writeText(location.href).catch(() => {});
      say(`Copied ${location.pathname}${location.hash}`);
    },
    Escape: () => {
      if (!card.hidden) {
        hideCard();
      } else {
        leave();
      }
    },
  };

  markLines(Boolean(location.hash));
  if (isSmall.matches) {
    show(false);
  } else {
    outline();
  }

  return {
    /** Whether the key means something here; then it was done. */
    key(event) {
      const isLink = event.target.closest("a, button, summary");
      if (event.key === "Enter" && isLink) {
        return false;
      }
      const key = pending + event.key;
      pending = event.key === "g" && !pending ? "g" : "";
      const act = acts[key] || acts[event.key];
      act?.();
      return Boolean(act) || pending === "g";
    },
  };
}
