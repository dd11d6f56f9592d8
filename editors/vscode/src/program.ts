// Which `kexpert` is started: the setting, the folder's own .venv, the PATH.

import { accessSync, constants, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { InputBoxValidationSeverity, window, workspace } from "vscode";

/** A program and how it was found, for the doctor. */
export interface Program {
  command: string;
  origin: string;
}

export function findProgram(folders: string[]): Program | undefined {
  const set = workspace.getConfiguration("kexpert").get("server.command", "").replace(/^~(?=\/)/, homedir());
  if (set) {
    return set.includes("/") ? existing(set, "kexpert.server.command") : onPath(set, "kexpert.server.command");
  }
  for (const folder of folders) {
    const found = existing(join(folder, ".venv", "bin", "kexpert"), `.venv of ${folder}`);
    if (found) {
      return found;
    }
  }
  return onPath("kexpert", "PATH");
}

function onPath(name: string, origin: string): Program | undefined {
  const candidates = (process.env.PATH ?? "").split(delimiter).concat(join(homedir(), ".local", "bin"));
  return candidates.map((folder) => existing(join(folder, name), origin)).find((program) => program);
}

function existing(command: string, origin: string): Program | undefined {
  try {
    accessSync(command, constants.X_OK);
    return statSync(command).isFile() ? { command, origin } : undefined;
  } catch {
    return undefined;
  }
}

/** Say that there is no server, and what to do; what is run is shown in a terminal before it runs. */
export async function offerToInstall(choose: () => unknown): Promise<void> {
  const set = workspace.getConfiguration("kexpert").get("server.command", "");
  const problem = set ? `kexpert.server.command names no program: ${set}` : "the program kexpert is not installed";
  const install = "Install with pipx…";
  const settings = "Open Settings";
  const picked = await window.showErrorMessage(`kexpert: ${problem}`, install, settings);
  if (picked === settings) {
    choose();
  } else if (picked === install) {
    const from = await window.showInputBox({
      title: "Install kexpert with pipx",
      prompt: "The folder of a checkout of kexpert, or a wheel. The command is shown before it runs.",
      placeHolder: "~/src/kexpert",
      ignoreFocusOut: true,
      validateInput: (typed) =>
        typed ? { message: `Goes into a terminal: ${installs(typed)}`, severity: InputBoxValidationSeverity.Info } : undefined,
    });
    if (from) {
      const terminal = window.createTerminal("Install kexpert");
      terminal.show();
      terminal.sendText(installs(from), false); // Enter is the user's
    }
  }
}

function installs(from: string): string {
  return `pipx install ${quoted(from.replace(/^~(?=\/)/, homedir()))}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
