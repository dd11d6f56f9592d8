// Looks at VS Code as somebody who sits before it: mouse, keys, and what is on the screen.
// The one argument is JSON: {address, tree, shots, settings, look}; `look` says what to do, step by step, with
// {file, at} where the cursor goes, {asks} or {types} what is typed, {sees} what must be on the screen then and {lands}
// where the cursor must be then. ONLY=step,step does some steps alone.

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const { chromium } = await import(process.env.PLAYWRIGHT);
const job = JSON.parse(process.argv[2]);
const PATIENCE = 1000 * Number(process.env.PATIENCE_SECONDS ?? 60);

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
  await page.waitForTimeout(500); // a closing list gives the focus back to the editor
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
      const cursor = await page.locator(".editor-group-container.active .editor-instance .cursor").first().boundingBox();
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
      await page.getByPlaceholder("What does it do?").first().waitFor();
      await page.keyboard.type(what.asks);
    });
    await page.screenshot({ path: join(job.shots, "search-list.png") });
    await page.keyboard.press("Enter");
    const { line } = place(what.lands);
    await page.locator(`.tab.active[data-resource-name="${what.lands.file.split("/").at(-1)}"]`).waitFor();
    await page.locator(".statusbar", { hasText: `Ln ${line}, Col` }).waitFor();
  },
  async grep(what) {
    await see(what, ".quick-input-list .monaco-list-row", async () => {
      await command("kexpert: Grep the Tree");
      await page.getByPlaceholder("A regular expression").first().waitFor();
      await page.keyboard.type(what.asks);
    });
    await page.keyboard.press("Escape");
  },
  async inactive(what) {
    await open(what);
    await see(what, ".view-lines", async () => {});
    const dimmed = () => page.locator(".view-lines .view-line span span").evaluateAll((spans) =>
      spans.filter((span) => getComputedStyle(span).opacity === "0.45").map((span) => span.textContent).join(""));
    await until(async () => (await dimmed()).replaceAll("\u00a0", " ") === what.sees[0], "the branch is not dimmed");
  },
  async kconfig(what) {
    await open(what);
    await see(what, ".suggest-widget.visible .monaco-list-row .label-name", async () => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+Space");
    });
  },
  async explain(what) {
    await open(what);
    await seeInPage(what, () => command("kexpert: Explain"));
    await page.screenshot({ path: join(job.shots, "explain-page.png") });
    await jump(what.lands);
    await closePage("Explanation");
  },
  async ask(what) {
    await seeInPage(what, async () => {
      await command("kexpert: Ask About the Kernel");
      await page.getByText("Ask about the kernel").first().waitFor();
      await page.keyboard.type(what.asks);
      await page.keyboard.press("Enter");
    });
    await page.screenshot({ path: join(job.shots, "ask-page.png") });
    await closePage(what.asks);
  },
  async menu(what) {
    await see(what, ".quick-input-list .monaco-list-row", async () => {
      await page.keyboard.press("Escape");
      await page.locator(".statusbar-item", { hasText: "kexpert" }).first().click();
      await page.waitForTimeout(500);
    });
    await page.screenshot({ path: join(job.shots, "menu-list.png") });
    await page.keyboard.press("Escape");
  },
  async doctor(what) {
    await seeInPage(what, () => command("kexpert: Doctor"));
    await page.screenshot({ path: join(job.shots, "doctor-page.png") });
    await closePage("Doctor");
  },
  async killed(what) {
    const before = servers();
    if (before.length !== 1) {
      throw new Error(`${before.length} servers run`);
    }
    process.kill(before[0], "SIGKILL");
    await until(() => servers().some((pid) => !before.includes(pid)), "no new server");
    await steps.hover(what);
  },
  async missing(what) {
    const settings = readFileSync(job.settings, "utf8");
    writeFileSync(job.settings, JSON.stringify({ ...JSON.parse(settings), "kexpert.server.command": "/nowhere/kexpert" }));
    try {
      await reload();
      await see(what, ".notification-toast", async () => {});
      await page.screenshot({ path: join(job.shots, "missing-message.png") });
    } finally {
      writeFileSync(job.settings, settings);
      await reload();
    }
    await until(() => servers().length > 0, "the server does not come back");
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

async function reload() {
  await page.reload({ waitUntil: "domcontentloaded" });
  await page.locator(".monaco-workbench .statusbar").waitFor();
}

/** The servers of this tree, by their process ids. */
function servers() {
  return readdirSync("/proc").filter((pid) => {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return words.includes("serve") && readlinkSync(`/proc/${pid}/cwd`) === job.tree;
    } catch {
      return false;
    }
  }).map(Number);
}

async function until(holds, otherwise) {
  const end = Date.now() + PATIENCE;
  while (!(await holds())) {
    if (Date.now() > end) {
      throw new Error(otherwise);
    }
    await page.waitForTimeout(200);
  }
}

/** The text of all pages (web views) that are shown. */
async function pages() {
  const texts = await Promise.all(page.frames().slice(1).map((frame) =>
    frame.evaluate(() => document.body?.innerText ?? "").catch(() => "")));
  return texts.join("\n");
}

/** Do something until a page shows all that it must. */
async function seeInPage(what, act) {
  await page.keyboard.press("Escape");
  await act();
  let text = "";
  const end = Date.now() + PATIENCE;
  while (!what.sees.every((part) => text.includes(part))) {
    if (Date.now() > end) {
      throw new Error(`not in a page: ${what.sees.filter((part) => !text.includes(part)).join(" | ")}\nthe pages: ${text.slice(0, 2000)}`);
    }
    await page.waitForTimeout(200);
    text = await pages();
  }
}

/** A link of the page leads to a place; back to the page after that. */
async function jump(lands) {
  const { line } = place(lands);
  for (const frame of page.frames()) {
    const link = frame.locator(`a[href$="${lands.file}#L${line}"]`).first();
    if (await link.count()) {
      await link.click();
      await page.locator(".statusbar", { hasText: `Ln ${line}, Col` }).waitFor();
      await page.locator(".tab", { hasText: "Explanation" }).click();
      return;
    }
  }
  throw new Error(`no link to ${lands.file}:${line} in a page`);
}

/** `q` closes the page. */
async function closePage(title) {
  const tab = page.locator(".tab", { hasText: title });
  await until(async () => {
    await page.keyboard.press("q");
    return (await tab.count()) === 0;
  }, "q does not close the page");
}

/** A command from the palette. */
async function command(title) {
  await page.keyboard.press("Escape");
  await page.keyboard.press("F1");
  await page.locator(".quick-input-widget input").first().fill(`>${title}`);
  const row = page.locator(".quick-input-list .monaco-list-row");
  await row.filter({ has: page.getByText(title, { exact: true }) }).or(row.filter({ hasText: title })).first().click();
}

let failed = 0;
try {
  await page.goto(`${job.address}/?folder=${encodeURIComponent(job.tree)}`, { waitUntil: "domcontentloaded" });
  await page.locator(".monaco-workbench .statusbar").waitFor();
  const only = process.env.ONLY?.split(",");
  for (const [name, what] of Object.entries(job.look).filter(([name]) => !only || only.includes(name))) {
    const started = Date.now();
    let outcome = "ok";
    try {
      await steps[name](what);
    } catch (problem) {
      const screen = (await page.locator("body").innerText().catch(() => "")).replace(/\s*\n\s*/g, "\n");
      outcome = `FAILED: ${problem.message}\non the screen:\n${screen.slice(0, 4000)}\n`;
      failed++;
    }
    await page.screenshot({ path: join(job.shots, `${name}.png`) });
    console.log(`${name}: ${outcome} (${Date.now() - started} ms)`);
  }
} finally {
  await browser.close();
}
process.exit(failed ? 1 : 0);
