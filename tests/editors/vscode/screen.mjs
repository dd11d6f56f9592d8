// VS Code as somebody sees it who sits before it: keys, mouse and what is on the screen. Everything waits for what must
// be seen; what can be lost (a key while a list closes) is done again.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";

const { chromium } = await import(process.env.PLAYWRIGHT);
export const job = JSON.parse(process.argv[2]);
export const PATIENCE = 1000 * Number(process.env.PATIENCE_SECONDS ?? 120);
const POLL_MS = 100;
/** How long one try of several waits. */
const TRY_MS = 4000;
const LIST = ".quick-input-list .monaco-list-row";
const GHOST = ".view-lines [class*='ghost-text']";

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
export const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
page.setDefaultTimeout(PATIENCE);

/** The line and column, from 1, of the bar in `at`, which is otherwise text of the file. */
export function place({ file, at }) {
  const [before, after] = at.split("|");
  const text = readFileSync(join(job.tree, file), "latin1");
  const start = text.indexOf(before + after);
  if (start < 0) {
    throw new Error(`${file} has no ${at}`);
  }
  const lines = text.slice(0, start + before.length).split("\n");
  return { line: lines.length, column: lines.at(-1).length + 1 };
}

/** Wait until something holds; else fail with words of what was there instead. */
export async function until(holds, otherwise, patience = PATIENCE) {
  const end = Date.now() + patience;
  while (!(await holds())) {
    if (Date.now() > end) {
      throw new Error(await (typeof otherwise === "function" ? otherwise() : otherwise));
    }
    await page.waitForTimeout(POLL_MS);
  }
}

/** Do something again and again, with more patience each time, until something holds. */
export async function insist(act, holds, otherwise) {
  const end = Date.now() + PATIENCE;
  for (let wait = TRY_MS; ; wait *= 2) {
    const problem = await act().then(() => undefined, (failure) => failure);
    const isOver = Date.now() > end;
    try {
      return await until(holds, otherwise, wait);
    } catch (failure) {
      if (isOver) {
        throw problem ?? failure;
      }
    }
  }
}

/** The text of the visible elements that match, as a person reads it. */
export async function read(selector) {
  const found = await page.locator(selector).filter({ visible: true }).allInnerTexts();
  return plain(found.join("\n"));
}

export function plain(text) {
  return text.replaceAll("\u00a0", " ").replaceAll("\u200b", "");
}

function missing(what, text) {
  return what.sees.filter((part) => !text.includes(part));
}

/** Do something again and again until all is seen that must be. */
export async function see(what, selector, act = async () => {}) {
  let text = "";
  await insist(
    act,
    async () => missing(what, (text = await read(selector))).length === 0,
    () => `not seen in ${selector}: ${missing(what, text).join(" | ")}\nthere: ${text}`,
  );
}

/** Take a list from the keyboard: press a key, type, click the entry. */
async function pick(key, text, entry) {
  const input = page.locator(".quick-input-widget input").first();
  await page.keyboard.press("Escape");
  await page.keyboard.press(key);
  await input.waitFor({ timeout: TRY_MS });
  await input.fill(text, { timeout: TRY_MS });
  await entry.click({ timeout: TRY_MS });
}

/** Whether a file is in the active editor with the cursor in a line. */
export async function isAt(file, line) {
  const name = file.split("/").at(-1);
  const tab = await page.locator(`.tab.active[data-resource-name="${name}"]`).count();
  return tab > 0 && (await read(".statusbar")).includes(`Ln ${line}, Col`);
}

export async function lands(where) {
  const { line } = place(where);
  await until(() => isAt(where.file, line), async () => `not at ${where.file}:${line}, but ${await read(".statusbar")}`);
}

/** Open a file with the cursor at a place, and the focus in its text. */
export async function open(what) {
  const { line, column } = place(what);
  await openLine(what.file, line, column);
}

export async function openLine(file, line, column) {
  const name = file.split("/").at(-1);
  await insist(
    async () => {
      const entry = page.locator(LIST, { hasText: name }).first();
      await pick("Control+p", `${join(job.tree, file)}:${line}:${column}`, entry);
    },
    async () => (await isAt(file, line)) && (await hasFocus()),
    async () => `${file}:${line} does not open; ${await read(".statusbar")}`,
  );
}

/** Open a file by the dialog that asks for a path: Ctrl+P finds nothing in a window without a folder. */
export async function openByPath(path) {
  await command("File: Open File...");
  const box = page.locator(".quick-input-widget input").first();
  await insist(
    async () => {
      await box.fill(path, { timeout: TRY_MS });
      await page.keyboard.press("Enter");
    },
    async () => (await page.locator(`.tab.active[data-resource-name="${path.split("/").at(-1)}"]`).count()) > 0,
    () => `${path} does not open`,
  );
}

/** Whether keys go into the text of an editor. */
export function hasFocus() {
  return page.evaluate(() => Boolean(document.activeElement?.closest(".editor-instance .monaco-editor")));
}

/** A command from the palette. Done again when its entry does not come. */
export async function command(title) {
  for (let tries = 1; ; tries++) {
    const rows = page.locator(LIST);
    const entry = rows.filter({ has: page.getByText(title, { exact: true }) }).or(rows.filter({ hasText: title })).first();
    try {
      return await pick("F1", `>${title}`, entry);
    } catch (problem) {
      if (tries * TRY_MS > PATIENCE) {
        throw new Error(`no command ${title}; listed: ${await read(LIST)}`);
      }
    }
  }
}

/** Type into the box that asks; keys could still go elsewhere while it opens. */
export async function answer(placeholder, text) {
  const box = page.getByPlaceholder(placeholder).first();
  await box.fill(text);
  return box;
}

/** The entries of the list that is open, with all that must be among them. */
export const seeListed = (what, act) => see(what, LIST, act);

/** Wait until the status bar says that the server runs and reads nothing. */
export async function ready() {
  const item = page.locator(".statusbar-item", { hasText: "kexpert" });
  await item.locator(".codicon-check").first().waitFor();
}

/** The lines of the editor without what is only suggested. */
export function typed() {
  return page.evaluate((ghost) => [...document.querySelectorAll(".editor-instance .view-lines .view-line")].map((line) => {
    const copy = line.cloneNode(true);
    copy.querySelectorAll(ghost).forEach((part) => part.remove());
    return copy.textContent;
  }).join("\n"), GHOST.split(" ").at(-1)).then(plain);
}

/** The text that is suggested at the cursor; empty when none is. */
export function suggested() {
  return page.locator(GHOST).allInnerTexts().then((parts) => plain(parts.join("")));
}

/** Text of the editor and the colour it has: [text, colour] for each piece. */
export function coloured() {
  return page.locator(".view-lines .view-line span span").evaluateAll((spans) =>
    spans.map((span) => [span.textContent, getComputedStyle(span).color, getComputedStyle(span).opacity]));
}

/** A picture of the screen without the mouse in it. */
export async function shot(name, { mouse = false } = {}) {
  if (!mouse) {
    await page.mouse.move(640, 859);
    await until(async () => !(await page.locator(".workbench-hover, .monaco-hover.workbench-hover").filter({ visible: true }).count()),
      "a tooltip stays", TRY_MS).catch(() => {});
  }
  await page.screenshot({ path: join(job.shots, `${name}.png`), animations: "disabled" });
}

/** The text of all pages (web views) that are shown. */
async function pages() {
  const texts = await Promise.all(page.frames().filter((frame) => frame.url().includes("/webview/")).map((frame) =>
    frame.evaluate(() => document.body?.innerText ?? "").catch(() => "")));
  return texts.join("\n");
}

/** Wait until a page shows all that it must. */
export async function seeInPage(what, act) {
  await act();
  let text = "";
  await until(
    async () => missing(what, (text = await pages())).length === 0,
    () => `not in a page: ${missing(what, text).join(" | ")}\nthe pages: ${text.slice(0, 2000)}`,
  );
}

/** A link of the page leads to a place; back to the page after that. */
export async function jumpFromPage(title, where) {
  const { line } = place(where);
  const name = `a[href$="${where.file}#L${line}"]`;
  await insist(
    async () => {
      const counts = await Promise.all(page.frames().map((frame) => frame.locator(name).count().catch(() => 0)));
      await page.frames()[counts.findIndex((count) => count > 0)]?.locator(name).first().click({ timeout: TRY_MS });
    },
    () => isAt(where.file, line),
    () => `no link of the page leads to ${where.file}:${line}`,
  );
  await page.locator(".tab", { hasText: title }).click();
}

/** `q` closes the page. */
export async function closePage(title) {
  const tab = page.locator(".tab", { hasText: title });
  await insist(
    async () => {
      const isInPage = () => page.evaluate(() => document.activeElement?.tagName === "IFRAME");
      await until(isInPage, "the page has no focus", TRY_MS).catch(() => tab.first().click({ timeout: TRY_MS }));
      await page.keyboard.press("q");
    },
    async () => (await tab.count()) === 0,
    () => "q does not close the page",
  );
}

/** Discard what was typed into the active file. */
export async function revert() {
  await insist(
    () => command("File: Revert File"),
    async () => (await page.locator(".tab.active.dirty").count()) === 0,
    () => "the file stays changed",
  );
}

export async function save() {
  await page.keyboard.press("Control+s");
  await until(async () => (await page.locator(".tab.active.dirty").count()) === 0, "the file is not saved");
}

export function show(folder) {
  return showPage(`folder=${encodeURIComponent(folder)}`);
}

/** Load VS Code; again if that takes very long, with what is in the browser's cache by then. */
export async function showPage(query) {
  let loaded = false;
  await insist(
    async () => {
      await page.goto(`${job.address}/?${query}`, { waitUntil: "domcontentloaded", timeout: PATIENCE / 4 });
      loaded = true;
    },
    () => loaded,
    "VS Code does not appear",
  );
  await page.locator(".monaco-workbench .statusbar").waitFor();
}

/** After a step that failed: discard what it changed and close what it opened. */
export async function recover() {
  await page.keyboard.press("Escape");
  await revert();
  await command("View: Close All Editors");
}

/** The servers that editors started in a folder, by their process ids. */
export function servers(folder = job.tree) {
  return readdirSync("/proc").filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return words.includes("serve") && readlinkSync(`/proc/${pid}/cwd`) === folder;
    } catch {
      return false;
    }
  }).map(Number);
}

/** Kill the server and wait until the status bar says that another one starts. */
export async function kill() {
  await until(() => servers().length === 1, () => `${servers().length} servers run`);
  const starts = page.waitForFunction(() => { // each frame: on an idle machine it is short
    const item = [...document.querySelectorAll(".statusbar-item")].find((each) => each.textContent.includes("kexpert"));
    return item && !item.querySelector(".codicon-check");
  });
  process.kill(servers()[0], "SIGKILL");
  await starts;
}
