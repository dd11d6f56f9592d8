// Uses VS Code as a person does, step by step. The one argument is JSON: {address, tree, shots, settings, look}; `look`
// says for each step what to look at: {file, at} where the cursor goes, {asks} or {types} what is typed, {sees} what must
// be on the screen then, {lands} where the cursor must be then. ONLY=step,step does some steps alone.

import { job, browser, page, read, recover, shot, show } from "./screen.mjs";
import { steps } from "./program_steps.mjs";

/** What is on the screen as text, without the numbers of lines. */
async function screen() {
  const text = await read("body").catch(() => "");
  return text.split("\n").filter((line) => line.trim() && !/^\d+$/.test(line.trim())).join("\n").slice(0, 4000);
}

let failed = 0;
let done = 0;
try {
  await show(job.tree);
  const only = process.env.ONLY?.split(",");
  for (const [name, what] of Object.entries(job.look).filter(([name]) => !only || only.includes(name))) {
    const started = Date.now();
    let outcome = "ok";
    try {
      await steps[name](what);
      done++;
    } catch (problem) {
      outcome = `FAILED: ${problem.message}\non the screen:\n${await screen()}\n`;
      failed++;
    }
    await shot(name, { mouse: name === "hover" || name === "folded" });
    console.log(`${name}: ${outcome} (${Date.now() - started} ms)`);
    if (outcome !== "ok") {
      await recover().catch(() => {});
    }
  }
} finally {
  await browser.close();
}
console.log(`${done} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
