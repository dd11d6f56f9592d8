// Steps about the program: its state, its choices, and what happens where it is missing or ends.

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { codeSteps, hover, hoverHere, withSettings } from "./code_steps.mjs";
import {
  answer, closePage, command, insist, isAt, job, kill, open, openByPath, page, place, read, ready, see, seeInPage, seeListed,
  servers, shot, show, showPage, until,
} from "./screen.mjs";

const TOAST = ".notification-toast";

/** A click on the status bar opens the menu. */
function seeMenu(what) {
  return seeListed(what, async () => {
    await page.keyboard.press("Escape");
    await page.locator(".statusbar-item", { hasText: "kexpert" }).first().click();
  });
}

/** Wait for a message of ours; none of another kind may be beside it. */
async function seeMessage(what, picture) {
  await see(what, TOAST);
  await shot(picture);
  const count = await page.locator(TOAST).filter({ visible: true }).count();
  if (count !== 1) {
    throw new Error(`${count} messages: ${await read(TOAST)}`);
  }
}

function press(button) {
  return page.locator(`${TOAST} .monaco-button`, { hasText: button }).first().click();
}

export const programSteps = {
  /** How far the tree is read and how long it takes, while cards are there already. */
  async indexing(what) {
    await see(what, ".part.statusbar");
    await shot("indexing-bar");
  },
  async menu(what) {
    await seeMenu(what);
    await shot("menu-list");
    await page.keyboard.press("Escape");
  },
  async model(what) {
    await seeListed(what, () => command("kexpert: Choose Model"));
    await shot("model-list");
    await page.keyboard.press("Escape");
  },
  async toggle(what) {
    await command("kexpert: Toggle Ghost Text");
    await seeMenu(what);
    await page.keyboard.press("Escape");
    await command("kexpert: Toggle Ghost Text");
    await seeMenu({ sees: what.then });
    await page.keyboard.press("Escape");
  },
  async doctor(what) {
    await seeInPage(what, () => command("kexpert: Doctor"));
    await shot("doctor-page");
    await closePage("Doctor");
  },
  async log(what) {
    await see(what, ".part.panel .view-lines", () => command("kexpert: Show Log"));
    await shot("log-shown");
    await command("View: Hide Panel");
  },
  async walkthrough(what) {
    await command("Welcome: Open Walkthrough...");
    await page.locator(".quick-input-list .monaco-list-row", { hasText: what.takes }).first().click();
    await see(what, ".gettingStartedContainer");
    await shot("walkthrough-page");
    await page.keyboard.press("Control+F4");
    await command("View: Close Editor");
  },
  async killed(what) {
    await ready();
    await kill();
    await ready();
    await hover(what);
  },
  /** No server for a folder and a file that are in no kernel tree; the doctor says so. */
  async outside(what) {
    await show(what.folder);
    await open(what);
    await see({ sees: ["Ln 1"] }, ".statusbar");
    await programSteps.doctor(what);
    const found = servers(what.folder);
    await show(job.tree);
    if (found.length) {
      throw new Error("a server runs outside a kernel tree");
    }
    await ready();
  },
  /** A file of a kernel tree in a window without a folder. */
  async single(what) {
    await showPage("ew=true");
    await openByPath(`${job.tree}/${what.file}`);
    const { line, column } = place(what);
    await insist(async () => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+g");
      await page.locator(".quick-input-widget input").first().fill(`:${line}:${column}`);
      await page.keyboard.press("Enter");
    }, () => isAt(what.file, line), async () => `not at line ${line}, but ${await read(".statusbar")}`);
    await hoverHere(what);
    await shot("single-file", { mouse: true });
    await show(job.tree);
    await ready();
  },
  /** Without the setting the `kexpert` of the folder's .venv is started. */
  async venv(what) {
    mkdirSync(`${job.tree}/.venv/bin`, { recursive: true });
    symlinkSync(what.program, `${job.tree}/.venv/bin/kexpert`);
    const [before] = servers();
    await withSettings("Remote", { "kexpert.server.command": "" }, async () => {
      await until(() => servers().length === 1 && servers()[0] !== before, "no other server");
      await ready();
      await programSteps.doctor(what);
    });
    rmSync(`${job.tree}/.venv`, { recursive: true });
    await ready();
  },
  async missing(what) {
    await withSettings("Remote", { "kexpert.server.command": "/nowhere/kexpert" }, async () => {
      await seeMessage(what, "missing-message");
      await press("Install with pipx");
      await answer("~/src/kexpert", what.types);
      await see({ sees: [what.runs] }, ".quick-input-widget");
      await shot("missing-install");
      await page.keyboard.press("Escape");
    });
    await until(() => servers().length > 0, "the server does not come back when the setting does");
    await ready();
  },
  /** After four crashes within three minutes the server stays down, and a button starts it. */
  async crashes(what) {
    await command("kexpert: Restart Server");
    await until(() => servers().length === 1, "no server");
    await hover(what.works);
    for (let crash = 1; crash <= 5; crash++) { // quickly, or they are not within the time
      await ready();
      await kill();
    }
    await seeMessage(what, "crashes-message");
    await press("Restart");
    await until(() => servers().length > 0, "Restart starts nothing");
    await hover(what.works);
  },
  /** A program that ends at once is said with its last words; one that does so after a crash stays down. */
  async broken(what) {
    const { program, mark, says } = what;
    writeFileSync(mark, "");
    await withSettings("Remote", { "kexpert.server.command": program }, async () => {
      await seeMessage({ sees: says }, "broken-message");
      await press("Doctor");
      await seeInPage({ sees: what.mends }, async () => {});
      await shot("broken-doctor");
      await closePage("Doctor");
      rmSync(mark);
      await command("kexpert: Restart Server");
      await ready();
      writeFileSync(mark, "");
      await kill();
      await seeMessage(what, "broken-later");
      rmSync(mark);
      await press("Restart");
      await hover(what.works);
    });
  },
};

export const steps = { ...codeSteps, ...programSteps };
