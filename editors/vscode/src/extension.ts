// Starts `kexpert serve` for a kernel tree and connects it to VS Code.

import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { commands, ExtensionContext, Range, Uri, window, workspace } from "vscode";
import { ExecuteCommandSignature, LanguageClient } from "vscode-languageclient/node";

/** Prefix of the settings that this extension alone reads; the others under "kexpert" go to the server. */
const OWN_PREFIX = "kexpert.server.";

let client: LanguageClient | undefined;

export async function activate(context: ExtensionContext): Promise<void> {
  context.subscriptions.push(commands.registerCommand("kexpert.restart", () => restart(context)));
  if (workspace.workspaceFolders?.some((folder) => inTree(folder.uri.fsPath))) {
    await start(context);
  }
}

export async function deactivate(): Promise<void> {
  const ending = client;
  client = undefined;
  await ending?.dispose();
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
        { scheme: "file", language: "cpp", pattern: "**/*.h" }, // VS Code takes headers for C++
      ],
      initializationOptions: () => userSettings(context),
      synchronize: { configurationSection: "kexpert" },
      middleware: {
        executeCommand: runAndPick,
        workspace: {
          configuration: (params) =>
            params.items.map((item) => (item.section === "kexpert" ? userSettings(context) : null)),
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

/** A result of the server's commands; `location` has the form of the protocol. */
interface SearchResult {
  name: string;
  kind: string;
  path: string;
  location: { uri: string; range: Range };
  lines: { line: number; text: string }[];
}

/**
 * Run a command of the server and go to the result that the user picks; a page is shown by the server. Ask for the
 * arguments where none are given.
 */
async function runAndPick(command: string, given: unknown[], run: ExecuteCommandSignature): Promise<unknown> {
  const args = given.length ? given : await askForArguments(command);
  if (!args) {
    return undefined;
  }
  const answer = await run(command, args);
  if (answer && !Array.isArray(answer)) {
    return answer; // a page, which the server has opened
  }
  const results: SearchResult[] = answer ?? [];
  const picked = await window.showQuickPick(
    results.map((result) => ({
      label: result.name || result.path,
      description: `${result.kind} in ${result.path}:${result.location.range.start.line + 1}`,
      detail: result.lines.map((line) => line.text).join("  …  "),
      location: result.location,
    })),
    { placeHolder: results.length ? "Go to" : "Nothing was found", matchOnDescription: true, matchOnDetail: true },
  );
  if (picked) {
    const { start, end } = picked.location.range;
    const selection = new Range(start.line, start.character, end.line, end.character);
    await window.showTextDocument(Uri.parse(picked.location.uri), { selection });
  }
  return results;
}

async function askForArguments(command: string): Promise<unknown[] | undefined> {
  if (command === "kexpert.search") {
    const query = await window.showInputBox({
      prompt: "What does it do? path:, kind:, subsystem: and config: narrow the search",
      value: window.activeTextEditor?.document.getText(window.activeTextEditor.selection),
    });
    return query ? [query, 50] : undefined;
  }
  if (command === "kexpert.ask") {
    const question = await window.showInputBox({ prompt: "Ask about the kernel", placeHolder: "Who calls vfs_read()?" });
    return question ? [question] : undefined;
  }
  const editor = window.activeTextEditor;
  return editor && [editor.document.uri.toString(), { start: editor.selection.start, end: editor.selection.end }];
}

/** The settings that the user changed. Sending defaults too would override the tree's kexpert.toml. */
function userSettings(context: ExtensionContext): Record<string, unknown> {
  const all = workspace.getConfiguration();
  const known = Object.keys(context.extension.packageJSON.contributes.configuration.properties);
  const changed = known
    .filter((key) => !key.startsWith(OWN_PREFIX))
    .map((key) => {
      const set = all.inspect(key);
      return [key.slice("kexpert.".length), set?.workspaceFolderValue ?? set?.workspaceValue ?? set?.globalValue];
    });
  return Object.fromEntries(changed.filter(([, value]) => value !== undefined));
}

/** True if a folder lies in a kernel tree, by the same files that the server looks for. */
function inTree(folder: string): boolean {
  const has = (name: string) => existsSync(join(folder, name));
  if (has("Kconfig") && has("Makefile") && (has("MAINTAINERS") || has("include/linux"))) {
    return true;
  }
  return dirname(folder) !== folder && inTree(dirname(folder));
}
