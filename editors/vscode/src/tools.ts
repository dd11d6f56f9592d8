// The doctor and the choice of a model: the command line of the server, shown here.

import { execFile } from "node:child_process";
import { window } from "vscode";
import { Pages } from "./pages";
import { Program } from "./program";

const PATIENCE_MS = 60_000;

interface Finding {
  what: string;
  state: "ok" | "note" | "missing" | "bad";
  detail: string;
  mend: string;
}

interface Model {
  name: string;
  abilities: string[];
  in_use_for: string[];
  state: string;
  source: string;
}

const MARK = { ok: "✓", note: "·", missing: "✗", bad: "✗" };

export async function showDoctor(
  pages: Pages, program: Program | undefined, tree: string | undefined, runs: boolean,
): Promise<void> {
  const findings: Finding[] = [];
  if (!program) {
    const mend = "install kexpert, or name it in the setting kexpert.server.command";
    findings.push({ what: "server", state: "missing", detail: "the program was not found", mend });
  } else {
    const detail = `${program.command} (${program.origin})`;
    try {
      const found: Finding[] = JSON.parse(await run(program, ["doctor", "--json", ...(tree ? ["--tree", tree] : [])]));
      findings.push({ what: "server", state: "ok", detail, mend: "" }, running(runs, tree), ...found);
    } catch (problem) {
      const mend = "install kexpert again, or name another program in the setting kexpert.server.command";
      findings.push({ what: "server", state: "bad", detail: `${detail}: ${(problem as Error).message}`, mend });
    }
  }
  const isGood = ({ state }: Finding) => state === "ok" || state === "note";
  const [good, bad] = [findings.filter(isGood), findings.filter((finding) => !isGood(finding))];
  const summary = bad.length ? "" : "Nothing is wrong.\n";
  await pages.open("Doctor", ["# kexpert: Doctor", summary, ...bad.map(line), "", ...good.map(line)].join("\n"));
}

function running(runs: boolean, tree: string | undefined): Finding {
  if (runs) {
    return { what: "running", state: "ok", detail: "yes", mend: "" };
  }
  return tree
    ? { what: "running", state: "bad", detail: "no", mend: "kexpert: Show Log says why, kexpert: Restart Server tries again" }
    : { what: "running", state: "note", detail: "no", mend: "a server starts with a folder or a file of a kernel tree" };
}

function line({ what, state, detail, mend }: Finding): string {
  return `- ${MARK[state]} **${what}**: ${escaped(detail)}${mend && `\n  - ${escaped(mend)}`}`;
}

export async function chooseModel(program: Program): Promise<void> {
  const models: Model[] = JSON.parse(await run(program, ["models", "list", "--json"]));
  const items = models.map((model) => ({
    label: model.name,
    description: `${purposes(model.abilities)}${model.in_use_for.length ? ` · in use for ${purposes(model.in_use_for)}` : ""}`,
    detail: model.source === "available" ? `not here yet; in a terminal: kexpert models add ${model.name}`
      : model.state === "ok" ? undefined : model.state,
    model,
  }));
  const picked = await window.showQuickPick(items, { title: "Choose a Model", placeHolder: "A running server follows" });
  if (!picked) {
    return;
  }
  if (picked.model.source === "available") {
    const terminal = window.createTerminal("kexpert models");
    terminal.show();
    terminal.sendText(`${program.command} models add ${picked.model.name}`, false);
    return;
  }
  window.showInformationMessage(`kexpert: ${(await run(program, ["models", "use", picked.model.name])).trim()}`);
}

function purposes(abilities: string[]): string {
  return abilities.map((ability) => ({ complete: "ghost text", chat: "explanations" })[ability] ?? ability).join(", ");
}

/** What a command prints; its error is the last line that it says. */
function run(program: Program, args: string[]): Promise<string> {
  return new Promise((resolve, reject) =>
    execFile(program.command, args, { timeout: PATIENCE_MS, maxBuffer: 4 << 20 }, (error, stdout, stderr) => {
      const said = stderr.trim().split("\n").at(-1);
      return stdout || !error ? resolve(stdout) : reject(new Error(said || error.message));
    }),
  );
}

function escaped(text: string): string {
  return text.replace(/([\\`*_[\]<>#])/g, "\\$1");
}
