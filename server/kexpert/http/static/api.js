// Questions to the server, and small things that all parts of the page need.

const MAX_KEPT = 400;
const kept = new Map();

/** The answer of the API as JSON. The same question is asked once. Throws an Error with one line for the reader. */
export function ask(path, parameters = {}, signal = undefined) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const address = `/v1${path}?${new URLSearchParams(given)}`;
  if (kept.has(address)) {
    return kept.get(address);
  }
  const answer = fetched(address, signal);
  kept.set(address, answer);
  answer.catch(() => kept.delete(address));
  if (kept.size > MAX_KEPT) {
    kept.delete(kept.keys().next().value);
  }
  return answer;
}

async function fetched(address, signal) {
  const response = await fetch(address, { signal, headers: { Accept: "application/json" } });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw new Error(body.detail || `the server answered ${response.status}`);
  }
  return body;
}

/** An element with attributes and children; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children);
  return element;
}

export function sourceLink(path, line) {
  return `/source/${path.split("/").map(encodeURIComponent).join("/")}${line ? `#L${line}` : ""}`;
}

export function symbolLink(name) {
  return `/symbol/${encodeURIComponent(name)}`;
}

let silence;

/** A line at the bottom of the screen for a moment. */
export function say(text) {
  const state = document.getElementById("state");
  state.textContent = text;
  state.hidden = false;
  clearTimeout(silence);
  silence = setTimeout(() => {
    state.hidden = true;
  }, 3000);
}

/** A list of places, under the path of each file. */
export function placeList(places, here = "") {
  const list = make("ul", { class: "uses" });
  let path = null;
  for (const place of places) {
    if (place.path !== path) {
      path = place.path;
      list.append(make("li", { class: "path" }, path === here ? "this file" : path));
    }
    const link = make("a", { href: sourceLink(path, place.line) }, make("i", {}, String(place.line)));
    link.append(make("code", {}, place.name ? `${place.name}: ${place.text}` : place.text || ""));
    list.append(make("li", {}, link));
  }
  return list;
}
