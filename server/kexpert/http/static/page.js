// The page works without this: links lead to pages about names. This adds results as one types, cards, what is known of
// a name beside the code, and keys. Text goes into the page as text; HTML comes only from the server, escaped there.

import { codePage } from "./code.js";
import { askPage } from "./ask.js";
import { searchBox } from "./search.js";
import { symbolPage } from "./uses.js";
import { say } from "./api.js";

const box = searchBox(document.getElementById("search"), document.getElementById("results"));
const code = document.getElementById("code") && codePage(document.getElementById("code"));

if (document.getElementById("about")) {
  symbolPage(document.getElementById("about"), document.getElementById("uses"));
}
if (document.getElementById("question")) {
  askPage(document.getElementById("question"), document.getElementById("answer"));
}

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});

const KEYS = [
  ["/", "search"], ["j k", "line down, up"], ["w b", "next, previous name"], ["K", "card of the name"],
  ["Enter", "what is known of the name"], ["g d", "to its definition"], ["g r", "its uses"],
  ["e", "explain the function"], ["y", "copy the link to the lines"], ["t", "light or dark"], ["Esc", "close"],
];

function help() {
  const dialog = document.createElement("dialog");
  const list = document.createElement("dl");
  list.className = "keys";
  for (const [key, what] of KEYS) {
    const term = document.createElement("dt");
    term.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    list.append(term, Object.assign(document.createElement("dd"), { textContent: what }));
  }
  dialog.append(Object.assign(document.createElement("h1"), { textContent: "Keys" }), list);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}

document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, textarea, select, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) {
    return;
  }
  if (event.key === "/" || event.key === "s") {
    box.focus();
  } else if (event.key === "?") {
    help();
  } else if (event.key === "t") {
    document.getElementById("theme").click();
  } else if (!code || !code.key(event)) {
    return;
  }
  event.preventDefault();
});

// The index grows while somebody reads: say when it is done.
if (document.querySelector(".notice")) {
  const events = new EventSource("/v1/events");
  events.addEventListener("index", (event) => {
    if (JSON.parse(event.data).index === "ready") {
      events.close();
      say("The whole tree is indexed now.");
    }
  });
}
