// Looks at VS Code as somebody who sits before it: mouse, keys, and what is on the screen.
// The one argument is JSON: {address, tree, shots, look: {hover|completion: {file, at, sees}, definition: {file, at, lands},
// search: {asks, sees, lands}, similar: {file, at, sees}, ghost: {file, at, types, sees}}}.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const { chromium } = await import(process.env.PLAYWRIGHT);
const job = JSON.parse(process.argv[2]);
const PATIENCE = 30_000;

const browser = await chromium.launch({
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
const page = await browser.newPage({ viewport: { width: 1280, height: 860 } });
page.setDefaultTimeout(PATIENCE);

/** The line and column, from 1, of the bar in `at`, which is otherwise text of the file. */
function place({ file, at }) {
  const [before, after] = at.split("|");
  const text = readFileSync(join(job.tree, file), "latin1");
  const start = text.indexOf(before + after);
  if (start < 0) {
    throw new Error(`${file} has no ${at}`);
  }
  const lines = text.slice(0, start + before.length).split("\n");
  return { line: lines.length, column: lines.at(-1).length + 1 };
}

/** Open a file with the cursor at a place. */
async function open(what) {
  const { line, column } = place(what);
  const name = what.file.split("/").at(-1);
  const input = page.locator(".quick-input-widget input").first();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+p");
  await input.fill(`${job.tree}/${what.file}:${line}:${column}`);
  await page.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().click();
  await page.locator(`.tab.active[data-resource-name="${name}"]`).waitFor();
  await page.locator(".statusbar", { hasText: `Ln ${line}, Col` }).waitFor();
}

/** The text of the visible elements that match, as a person reads it. */
async function read(selector) {
  const found = await page.locator(selector).filter({ visible: true }).allInnerTexts();
  return found.join("\n").replaceAll("\u00a0", " ").replaceAll("\u200b", "");
}

/** Do something again and again until all is seen that must be. */
async function see(what, selector, act) {
  const until = Date.now() + PATIENCE;
  let text = "";
  while (Date.now() < until) {
    await act();
    for (let i = 0; i < 15; i++) {
      text = await read(selector);
      if (what.sees.every((part) => text.includes(part))) {
        return;
      }
      await page.waitForTimeout(200);
    }
  }
  throw new Error(`not seen: ${what.sees.filter((part) => !text.includes(part)).join(" | ")}\non the screen: ${text}`);
}

const steps = {
  async hover(what) {
    await open(what);
    await see(what, ".monaco-hover:not(.hidden) .hover-contents", async () => {
      const cursor = await page.locator(".editor-instance .cursor").first().boundingBox();
      await page.mouse.move(cursor.x + 200, cursor.y + 200);
      await page.waitForTimeout(400);
      await page.mouse.move(cursor.x + 4, cursor.y + cursor.height / 2, { steps: 4 });
    });
  },
  async completion(what) {
    await open(what);
    await see(what, ".suggest-widget.visible .monaco-list-row .label-name", async () => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+Space");
    });
  },
  async definition(what) {
    await open(what);
    await page.keyboard.press("F12");
    const { line } = place(what.lands);
    await page.locator(`.tab.active[data-resource-name="${what.lands.file.split("/").at(-1)}"]`).waitFor();
    await page.locator(".statusbar", { hasText: `Ln ${line}, Col` }).waitFor();
    await page.locator(".peekview-widget").waitFor({ state: "detached" });
  },
  async search(what) {
    // What is asked while the tree is being read for the first time finds nothing yet.
    await see(what, ".quick-input-list .monaco-list-row", async () => {
      await command("kexpert: Search by Meaning");
      await page.getByText("What does it do?").first().waitFor();
      await page.keyboard.type(what.asks);
      await page.keyboard.press("Enter");
      await page.locator(".quick-input-widget input[placeholder='Go to']").waitFor({ timeout: 5_000 }).catch(() => {});
    });
    await page.screenshot({ path: join(job.shots, "search-list.png") });
    await page.keyboard.press("Enter");
    const { line } = place(what.lands);
    await page.locator(`.tab.active[data-resource-name="${what.lands.file.split("/").at(-1)}"]`).waitFor();
    await page.locator(".statusbar", { hasText: `Ln ${line}, Col` }).waitFor();
  },
  async similar(what) {
    await open(what);
    await see(what, ".quick-input-list .monaco-list-row", () => command("kexpert: Find Similar Code"));
  },
  async ghost(what) {
    await open(what);
    await page.keyboard.press("End");
    await page.keyboard.type(what.types);
    const ghost = page.locator(".view-lines [class*='ghost-text']");
    await ghost.first().waitFor();
    await see(what, ".view-lines", async () => {});
    await page.screenshot({ path: join(job.shots, "ghost-shown.png") });
    await page.keyboard.press("Tab");
    await ghost.first().waitFor({ state: "detached" });
    await see(what, ".view-lines", async () => {});
  },
};

/** A command from the palette. */
async function command(title) {
  await page.keyboard.press("Escape");
  await page.keyboard.press("F1");
  await page.locator(".quick-input-widget input").first().fill(`>${title}`);
  await page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first().click();
}

let failed = 0;
try {
  await page.goto(`${job.address}/?folder=${encodeURIComponent(job.tree)}`);
  await page.locator(".monaco-workbench .statusbar").waitFor();
  for (const [name, what] of Object.entries(job.look)) {
    const started = Date.now();
    let outcome = "ok";
    try {
      await steps[name](what);
    } catch (problem) {
      outcome = `FAILED: ${problem.message}`;
      failed++;
    }
    await page.screenshot({ path: join(job.shots, `${name}.png`) });
    console.log(`${name}: ${outcome} (${Date.now() - started} ms)`);
  }
} finally {
  await browser.close();
}
process.exit(failed ? 1 : 0);
