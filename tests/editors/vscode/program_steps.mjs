// Steps about the program: its state, its choices, and what happens where it is missing or ends.

import { codeSteps, hover, withSettings } from "./code_steps.mjs";
import {
  answer, closePage, command, job, kill, open, page, read, ready, see, seeInPage, seeListed, servers, shot, show, until,
} from "./screen.mjs";

const TOAST = ".notification-toast";

/** A click on the status bar opens the menu. */
function seeMenu(what) {
  return seeListed(what, async () => {
    await page.keyboard.press("Escape");
    await page.locator(".statusbar-item", { hasText: "kexpert" }).first().click();
  });
}

export const programSteps = {
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
  async missing(what) {
    await withSettings("Remote", { "kexpert.server.command": "/nowhere/kexpert" }, async () => {
      await see(what, TOAST);
      await shot("missing-message");
      await page.locator(`${TOAST} .monaco-button`, { hasText: "Install with pipx" }).first().click();
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
    await see(what, TOAST);
    await shot("crashes-message");
    await page.locator(`${TOAST} .monaco-button`, { hasText: "Restart" }).first().click();
    await until(() => servers().length > 0, "Restart starts nothing");
    await hover(what.works);
  },
};

export const steps = { ...codeSteps, ...programSteps };
