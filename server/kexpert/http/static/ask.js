// A question and its answer, which comes as server-sent events: the sources at once, the answer when it is there.

import { make, sourceLink, symbolLink } from "./api.js";

/** Text in which [n] leads to its source and name() to the page about it; no line ends within ->. */
function linked(text, citations = []) {
  return text.split(/(\[\d+\]|\b[A-Za-z_]\w*\(\)|\bCONFIG_\w+|->)/).map((piece, at) => {
    if (at % 2 === 0) {
      return piece;
    }
    if (piece === "->") {
      return make("span", { class: "arrow" }, piece);
    }
    if (!piece.startsWith("[")) {
      return make("a", { href: symbolLink(piece.replace("()", "")) }, make("code", {}, piece));
    }
    const source = citations[Number(piece.slice(1, -1)) - 1];
    return source
      ? make("a", { class: "cite", href: sourceLink(source.path, source.line), title: source.text }, piece)
      : piece;
  });
}

function sources(title, list, tag) {
  if (!list.length) {
    return [];
  }
  const items = list.map(({ path, line, text }) =>
    make("li", {}, ...linked(text), " ", make("a", { class: "place", href: sourceLink(path, line) }, `${path}:${line}`)));
  return [make("h2", {}, title), make(tag, {}, ...items)];
}

function shown(found, isLast) {
  const origin = {
    facts: "from the code",
    model: `written by ${found.model}${found.adapter ? ` with ${found.adapter}` : ""}; checked against its sources`,
    sources: isLast ? "" : "a model reads the sources…",
  }[found.origin];
  const parts = [];
  if (found.answer) {
    parts.push(make("p", {}, ...linked(found.answer, found.citations)));
  } else if (isLast) {
    const nothing = found.citations.length || found.others.length;
    parts.push(make("p", {}, nothing ? "No answer was found in the code itself; these places say most about it."
      : "Nothing was found."));
  }
  if (origin) {
    parts.push(make("p", { class: "origin" }, origin));
  }
  return [make("div", { class: "said" }, ...parts), ...sources("Sources", found.citations, "ol"),
    ...sources("See also", found.others, "ul")];
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return;
    }
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const name = /^event: (.*)$/m.exec(part)?.[1];
      if (name) {
        yield [name, JSON.parse(/^data: (.*)$/m.exec(part)[1])];
      }
    }
  }
}

export function askPage(form, answer) {
  let running;

  async function put(question) {
    running?.abort();
    running = new AbortController();
    answer.replaceChildren(make("p", { class: "wait" }, "Looking…"));
    try {
      const response = await fetch("/v1/query", {
        method: "POST",
        headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
        body: JSON.stringify({ question }),
        signal: running.signal,
      });
      if (!response.ok) {
        throw new Error((await response.json().catch(() => ({}))).detail || `the server answered ${response.status}`);
      }
      for await (const [name, data] of events(response)) {
        if (name === "sources" || name === "answer") {
          answer.replaceChildren(...shown(data, name === "answer"));
        } else if (name === "problem") {
          answer.prepend(make("p", { class: "trouble" }, data.detail));
        }
      }
    } catch (problem) {
      if (problem.name !== "AbortError") {
        answer.replaceChildren(make("p", { class: "trouble" }, problem.message));
      }
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const question = form.elements.question.value.trim();
    if (question) {
      history.replaceState(null, "", `/ask?${new URLSearchParams({ question })}`);
      document.title = question;
      put(question);
    }
  });
  if (form.elements.question.value.trim()) {
    put(form.elements.question.value.trim());
  } else {
    form.elements.question.focus();
  }
}
