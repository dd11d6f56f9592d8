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
  const lines = ["# kexpert: Doctor", ""];
  if (!program) {
    lines.push("- ✗ **server**: not found. Install kexpert, or name it in `kexpert.server.command`.");
  } else {
    lines.push(`- ✓ **server**: \`${program.command}\` (${program.origin})`);
    lines.push(runs ? "- ✓ **running**: yes" : "- ✗ **running**: no. *kexpert: Show Log* says why; *kexpert: Restart Server* tries again.");
    try {
      const output = await run(program, ["doctor", "--json", ...(tree ? ["--tree", tree] : [])]);
      for (const finding of JSON.parse(output) as Finding[]) {
        lines.push(`- ${MARK[finding.state]} **${finding.what}**: ${escaped(finding.detail)}`);
        if (finding.mend) {
          lines.push(`  - ${escaped(finding.mend)}`);
        }
      }
    } catch (problem) {
      lines.push(`- ✗ **kexpert doctor**: ${escaped(String(problem))}`);
    }
  }
  await pages.open("Doctor", lines.join("\n"));
}

export async function chooseModel(program: Program): Promise<void> {
  const models: Model[] = JSON.parse(await run(program, ["models", "list", "--json"]));
  const items = models.map((model) => ({
    label: model.name,
    description: `${model.abilities.join(", ")}${model.in_use_for.length ? ` · in use for ${model.in_use_for.join(", ")}` : ""}`,
    detail: model.source === "available" ? `not here; in a terminal: kexpert models add ${model.name}` : model.state,
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
