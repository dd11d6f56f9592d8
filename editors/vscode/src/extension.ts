// Starts `kexpert serve` for a kernel tree and connects it to VS Code.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { commands, ExtensionContext, Range, Uri, window, workspace } from "vscode";
import { ExecuteCommandSignature, LanguageClient } from "vscode-languageclient/node";

/** What only this extension reads; everything else under "kexpert" is the server's. */
const OWN = "kexpert.server.";

let client: LanguageClient | undefined;

export async function activate(context: ExtensionContext): Promise<void> {
  context.subscriptions.push(commands.registerCommand("kexpert.restart", () => restart(context)));
  if (workspace.workspaceFolders?.some((folder) => inTree(folder.uri.fsPath))) {
    await start(context);
  }
}

export async function deactivate(): Promise<void> {
  const ended = client;
  client = undefined;
  await ended?.dispose();
}

async function restart(context: ExtensionContext): Promise<void> {
  await deactivate();
  await start(context);
}

async function start(context: ExtensionContext): Promise<void> {
  const command = workspace.getConfiguration("kexpert").get("server.command", "kexpert");
  client = new LanguageClient(
    "kexpert",
    { command: command.replace(/^~(?=\/)/, homedir()), args: ["serve"] },
    {
      documentSelector: [
        { scheme: "file", language: "c" },
        { scheme: "file", language: "cpp", pattern: "**/*.h" }, // what VS Code takes headers for
      ],
      initializationOptions: () => chosen(context),
      synchronize: { configurationSection: "kexpert" },
      middleware: {
        executeCommand: find,
        workspace: {
          configuration: (params) => params.items.map((item) => (item.section === "kexpert" ? chosen(context) : null)),
        },
      },
    },
  );
  try {
    await client.start();
  } catch (problem) {
    window.showErrorMessage(
      `kexpert: "${command} serve" cannot be started (${problem}). Install kexpert, or say where it is: kexpert.server.command`,
    );
  }
}

/** A result of the server's commands; `location` is as the protocol has it. */
interface Found {
  name: string;
  kind: string;
  path: string;
  location: { uri: string; range: Range };
  lines: { line: number; text: string }[];
}

/** Run a command of the server: ask for what it needs where nothing is given, let the user choose among what it finds. */
async function find(command: string, given: unknown[], run: ExecuteCommandSignature): Promise<unknown> {
  const args = given.length ? given : await asked(command);
  if (!args) {
    return undefined;
  }
  const found: Found[] = (await run(command, args)) ?? [];
  const chosen = await window.showQuickPick(
    found.map((one) => ({
      label: one.name || one.path,
      description: `${one.kind} in ${one.path}:${one.location.range.start.line + 1}`,
      detail: one.lines.map((line) => line.text).join("  …  "),
      one,
    })),
    { placeHolder: found.length ? "Go to" : "Nothing was found", matchOnDescription: true, matchOnDetail: true },
  );
  if (chosen) {
    const { start, end } = chosen.one.location.range;
    const selection = new Range(start.line, start.character, end.line, end.character);
    await window.showTextDocument(Uri.parse(chosen.one.location.uri), { selection });
  }
  return found;
}

async function asked(command: string): Promise<unknown[] | undefined> {
  if (command === "kexpert.search") {
    const query = await window.showInputBox({
      prompt: "What does it do? path:, kind:, subsystem: and config: narrow the search",
      value: window.activeTextEditor?.document.getText(window.activeTextEditor.selection),
    });
    return query ? [query, 50] : undefined;
  }
  const editor = window.activeTextEditor;
  return editor && [editor.document.uri.toString(), { start: editor.selection.start, end: editor.selection.end }];
}

/** The settings that somebody made. Defaults are left to the server, or they would win over the tree's kexpert.toml. */
function chosen(context: ExtensionContext): Record<string, unknown> {
  const all = workspace.getConfiguration();
  const known = Object.keys(context.extension.packageJSON.contributes.configuration.properties);
  const made = known
    .filter((key) => !key.startsWith(OWN))
    .map((key) => {
      const found = all.inspect(key);
      return [key.slice("kexpert.".length), found?.workspaceFolderValue ?? found?.workspaceValue ?? found?.globalValue];
    });
  return Object.fromEntries(made.filter(([, value]) => value !== undefined));
}

/** Whether a folder lies in a kernel tree, by the marks that the server goes by. */
function inTree(folder: string): boolean {
  const has = (name: string) => existsSync(join(folder, name));
  if (has("Kconfig") && has("Makefile") && (has("MAINTAINERS") || has("include/linux"))) {
    return true;
  }
  return dirname(folder) !== folder && inTree(dirname(folder));
}
