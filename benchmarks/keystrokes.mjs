// Presses the keys of `keystrokes` in VS Code and writes how long each took, in milliseconds, null where nothing came.

import { writeFileSync } from "node:fs";
import { browser, insist, isAt, job, openLine, page, ready, revert, show, until } from "../tests/editors/vscode/screen.mjs";

const MAX_MS = 3000;
const MENU = ".suggest-widget.visible .monaco-list-row";
const GHOST = ".view-lines [class*='ghost-text']";

/** Start the clock at the next key; it stops at the first frame that shows what matches. */
function arm(selector) {
  return page.evaluate(([selector, most]) => {
    window.kexpertWait = undefined;
    addEventListener("keydown", () => {
      const began = performance.now();
      const look = () => {
        if (document.querySelector(selector)) {
          window.kexpertWait = performance.now() - began;
        } else if (performance.now() - began > most) {
          window.kexpertWait = null;
        } else {
          requestAnimationFrame(look);
        }
      };
      requestAnimationFrame(look);
    }, { capture: true, once: true });
  }, [selector, MAX_MS]);
}

async function press(place) {
  const isGhost = place.kind === "ghost";
  await openLine(place.path, place.line + 1, place.column + 1);
  if (isGhost) {
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Control+Shift+K");
    await page.keyboard.press("ArrowUp");
    await page.keyboard.press("End");
  } else {
    await page.keyboard.press("Shift+End");
    await page.keyboard.press("Delete");
  }
  await insist( // what deleting brought up
    () => page.keyboard.press("Escape"),
    async () => !(await page.locator(isGhost ? GHOST : MENU).count()),
    () => "something is shown before the key",
  );
  await arm(isGhost ? GHOST : MENU);
  await page.keyboard.press(isGhost ? "Enter" : place.key === ">" ? "Shift+>" : place.key);
  await until(async () => (await page.evaluate(() => window.kexpertWait)) !== undefined, "no frame");
  const wait = await page.evaluate(() => window.kexpertWait);
  await page.keyboard.press("Escape");
  await revert();
  return wait;
}

try {
  await show(job.tree);
  const waits = [];
  for (const place of [job.places[0], ...job.places]) { // the first one starts the server and loads the model
    await ready().catch(() => {});
    waits.push(await press(place));
  }
  writeFileSync(job.out, JSON.stringify(waits.slice(1)));
} finally {
  await browser.close();
}
