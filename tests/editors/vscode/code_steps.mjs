// Steps about code: what the server knows of the place, in the text and beside it.

import { readFileSync, writeFileSync } from "node:fs";
import {
  answer, closePage, coloured, command, hasFocus, insist, isAt, job, jumpFromPage, lands, open, page, place, plain, read,
  ready, revert, save, see, seeInPage, seeListed, shot, suggested, typed, until,
} from "./screen.mjs";

/** How long a slice of the kernel may take to be read on a busy machine. */
const READING_MS = 15 * 60_000;
const CARD = ".monaco-hover:not(.hidden) .hover-contents";
const MENU = ".suggest-widget.visible .monaco-list-row .label-name";

/** Write VS Code's settings where the user writes them. `kind`: "User", or "Remote" for those of the machine. */
async function writeSettings(kind, text) {
  await insist(
    async () => {
      await command(`Preferences: Open ${kind} Settings (JSON)`);
      await page.locator('.tab.active[data-resource-name="settings.json"]').waitFor();
      await until(async () => (await hasFocus()) && (await typed()).includes("{"), "no settings");
      await page.keyboard.press("Control+a");
      await page.keyboard.insertText(text);
      await save();
    },
    async () => readFileSync(job.settings[kind], "utf8") === text,
    () => `the settings are ${readFileSync(job.settings[kind], "utf8")}`,
  );
  await command("View: Close Editor");
}

/** Run with other settings. */
export async function withSettings(kind, changed, act) {
  const before = readFileSync(job.settings[kind], "utf8");
  await writeSettings(kind, JSON.stringify({ ...JSON.parse(before), ...changed }));
  try {
    return await act();
  } finally {
    await writeSettings(kind, before);
  }
}

export async function hover(what) {
  await open(what);
  await hoverHere(what);
}

/** The card of what the cursor is on. */
export async function hoverHere(what) {
  await see(what, CARD, async () => {
    const cursor = await page.locator(".editor-group-container.active .editor-instance .cursor").first().boundingBox();
    await page.mouse.move(cursor.x + 300, 840);
    await until(async () => !(await page.locator(".monaco-hover:not(.hidden)").filter({ visible: true }).count()), "", 2000).catch(() => {});
    await page.mouse.move(cursor.x + 4, cursor.y + cursor.height / 2, { steps: 4 });
  });
}

export const codeSteps = {
  hover,
  async link(what) {
    await hover(what);
    await page.locator(`${CARD} a`, { hasText: what.follows }).first().click();
    await lands(what.lands);
  },
  async folded(what) {
    await hover(what);
  },
  async completion(what) {
    await open(what);
    await see(what, MENU, async () => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+Space");
    });
  },
  async definition(what) {
    await open(what);
    const { line } = place(what.lands);
    await insist(
      () => page.keyboard.press("F12"),
      async () => (await isAt(what.lands.file, line)) && !(await page.locator(".peekview-widget").count()),
      async () => `F12 does not lead to ${what.lands.file}:${line}, but ${await read(".statusbar")}`,
    );
  },
  async include(what) {
    await open(what);
    const path = page.locator(".view-lines .detected-link", { hasText: what.follows }).first();
    await path.waitFor();
    await path.click({ modifiers: ["Control"] });
    await until(async () => (await page.locator(`.tab.active[data-resource-name="${what.opens}"]`).count()) > 0, "the header does not open");
  },
  async search(what) {
    await open(what);
    await command("kexpert: Search by Meaning");
    await answer("What does it do?", what.asks);
    // While the tree is being read the list lacks functions and says so; it is completed without being asked again.
    const title = () => read(".quick-input-widget .quick-input-title");
    if ((await title()).includes("not all is known yet")) {
      await shot("search-grows");
      await until(async () => !(await title()).includes("not all is known yet"), title, READING_MS);
    }
    await seeListed(what);
    await shot("search-list");
    await page.keyboard.press("Enter");
    await lands(what.lands);
  },
  async grep(what) {
    await seeListed(what, async () => {
      await command("kexpert: Grep the Tree");
      await answer("A regular expression", what.asks);
    });
    await shot("grep-list");
    await page.keyboard.press("Escape");
  },
  async similar(what) {
    await open(what);
    await seeListed(what, () => command("kexpert: Find Similar Code"));
  },
  /** The last piece of text has the colour of the first: what TextMate's rules alone do not give it. */
  async colours(what) {
    await open(what);
    await until(async () => {
      const colours = (await coloured()).filter(([text]) => plain(text) === what.name).map(([, colour]) => colour);
      return colours.length > 1 && new Set(colours).size === 1;
    }, async () => `colours of ${what.name}: ${JSON.stringify((await coloured()).filter(([text]) => text.includes(what.name)))}`);
  },
  async inactive(what) {
    await open(what);
    const dimmed = async () => plain((await coloured()).filter(([, , opacity]) => opacity === "0.45").map(([text]) => text).join(""));
    await until(async () => (await dimmed()) === what.sees[0], async () => `dimmed: ${await dimmed()}`);
  },
  async kconfig(what) {
    await codeSteps.completion(what);
  },
  async hints(what) {
    await withSettings("User", { "kexpert.hints.parameters": true }, async () => {
      await open(what);
      await see(what, ".editor-instance .view-lines");
      await shot("hints-shown");
    });
  },
  async lenses(what) {
    await withSettings("User", { "kexpert.lenses.callers": true, "kexpert.lenses.implementations": true }, async () => {
      await open(what);
      await see(what, ".codelens-decoration");
      await shot("lenses-shown");
      await page.locator(".codelens-decoration a", { hasText: what.follows }).first().click();
      await see({ sees: what.leads }, ".peekview-widget");
      await page.keyboard.press("Escape");
    });
  },
  async hierarchy(what) {
    await open(what);
    const rows = ".part.sidebar .monaco-list-row";
    await see(what, rows, () => command("Types: Show Type Hierarchy"));
    await see({ sees: what.under }, rows, async () => {
      await page.locator(rows).first().click();
      await page.keyboard.press("ArrowRight");
    });
    await shot("hierarchy-tree");
    await command("View: Show Explorer");
  },
  async kerneldoc(what) {
    await open(what);
    await see({ sees: [what.takes] }, ".action-widget .monaco-list-row", async () => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+.");
    });
    await page.locator(".action-widget .monaco-list-row", { hasText: what.takes }).first().click();
    await see(what, ".editor-instance .view-lines");
    await shot("kerneldoc-written");
    await revert();
  },
  async explain(what) {
    await open(what);
    await seeInPage(what, () => command("kexpert: Explain"));
    await shot("explain-page");
    await jumpFromPage("Explanation", what.lands);
    await closePage("Explanation");
  },
  async chain(what) {
    await open(what);
    await seeInPage(what, () => command("kexpert: Call Chain"));
    await shot("chain-page");
    await jumpFromPage("Call Chain", what.lands);
    await closePage("Call Chain");
  },
  async ask(what) {
    await seeInPage(what, async () => {
      await command("kexpert: Ask About the Kernel");
      await (await answer("Who calls vfs_read()?", what.asks)).press("Enter");
    });
    await shot("ask-page");
    await closePage(what.asks);
  },
  /** What is saved in one file completes in another. */
  async saved(what) {
    await open(what);
    await page.keyboard.insertText(what.types);
    await save();
    await open(what.then);
    await page.keyboard.insertText(what.then.types);
    await see(what, MENU, async () => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+Space");
    });
    await shot("saved-completes");
    await page.keyboard.press("Escape");
    await revert();
  },
  async diff(what) {
    await open(what);
    await seeInPage(what, () => command("kexpert: What the Changes Touch"));
    await shot("diff-page");
    await closePage("Changes");
  },
  /** Beside clangd: what it answers is answered once, the cards of both are shown, and search goes on. */
  async clangd(what) {
    await withSettings("Remote", what.settings, async () => {
      await codeSteps.definition(what.definition); // once clangd has read the files
      await open(what.members);
      const names = async () => (await page.locator(MENU).allInnerTexts()).map((name) => plain(name).replace(/^[ •]+/, "")).sort();
      await insist(async () => {
        await page.keyboard.press("Escape");
        await page.keyboard.press("Control+Space");
      }, async () => (await names()).join() === what.members.names.join(), async () => `offered: ${await names()}`);
      await shot("clangd-members");
      await page.keyboard.press("Escape");
      await hover(what.hover);
      await shot("clangd-cards", { mouse: true });
      await codeSteps.search(what.search);
    });
    await ready();
  },
  /** A file that appears is found by its names, at the latest after a request to look. */
  async reindex(what) {
    writeFileSync(`${job.tree}/${what.writes}`, what.text);
    await command("kexpert: Re-index");
    await seeListed(what, async () => {
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+t");
      await page.keyboard.type(what.asks);
    });
    await page.keyboard.press("Escape");
  },
  async ghost(what) {
    await open(what);
    await ready();
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await until(async () => (await suggested()).includes(what.sees[0]), async () => `suggested: ${await suggested()}`);
    await shot("ghost-shown");
    await page.keyboard.press("Tab");
    await until(async () => (await typed()).includes(what.sees[0]), async () => `Tab gives ${await typed()}`);
    await revert();
  },
  /** Of a suggestion of several lines the next one is its first line; there and back. */
  async next(what) {
    await withSettings("Remote", { "kexpert.model.path": what.model }, async () => {
      await open(what);
      await ready();
      await page.keyboard.press("End");
      const shows = async (more) => {
        const text = await read(".editor-instance");
        return text.includes(what.first) && text.includes(what.more) === more;
      };
      const otherwise = async () => `shown: ${await read(".editor-instance")}`;
      await insist(async () => { // once the model is another one
        await page.keyboard.press("Escape");
        await page.keyboard.press("Enter");
      }, () => shows(true), otherwise);
      await shot("next-before");
      await page.keyboard.press("Alt+]");
      await until(() => shows(false), otherwise);
      await shot("next-after");
      await page.keyboard.press("Alt+[");
      await until(() => shows(true), otherwise);
      await page.keyboard.press("Escape");
      await revert();
    });
  },
  /** A word, then a line; Escape takes nothing. */
  async parts(what) {
    await open(what);
    await ready();
    await page.keyboard.press("End");
    const [before, whole] = [await typed(), what.sees[0]];
    const isSuggested = () => until(async () => (await suggested()).includes(whole), async () => `suggested: ${await suggested()}`);
    await page.keyboard.press("Enter");
    await isSuggested();
    await page.keyboard.press("Control+ArrowRight");
    await until(async () => (await typed()).includes(`\t${what.word}`.trim()) && (await suggested()).length > 0
      && !(await typed()).includes(whole), async () => `a word gives ${await typed()}`);
    await shot("parts-word");
    await page.keyboard.press("Control+Alt+ArrowRight");
    await until(async () => (await typed()).includes(whole), async () => `a line gives ${await typed()}`);
    await revert();
    await open(what);
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    await isSuggested();
    await page.keyboard.press("Escape");
    await until(async () => !(await suggested()), "Escape leaves the suggestion");
    if ((await typed()).includes(whole) && !before.includes(whole)) {
      throw new Error("Escape took the suggestion");
    }
    await revert();
  },
};
