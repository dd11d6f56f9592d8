// Starts `kexpert serve` for a kernel tree, connects it to VS Code, and shows what has no place in the protocol.

import { commands, ExtensionContext, Location, Position, Range, TextDocument, Uri, window, workspace } from "vscode";
import { ExecuteCommandSignature, LanguageClient } from "vscode-languageclient/node";
import { activeFile } from "./active";
import { InactiveRegions } from "./inactive";
import { Pages } from "./pages";
import { pickResult, searchAsTyped } from "./picks";
import { findProgram, offerToInstall, Program } from "./program";
import { QuietClient } from "./quiet_client";
import { makeClient, newLog } from "./server";
import { setInline, showMenu, StatusItem } from "./status";
import { chooseModel, showDoctor } from "./tools";
import { treeAround } from "./tree";

interface WrittenAt {
  uri: string;
  range: { start: { line: number; character: number }; end: { line: number; character: number } };
}

let client: LanguageClient | undefined;
let stop: () => Promise<void> = async () => {};

export async function activate(context: ExtensionContext): Promise<void> {
  const log = newLog();
  const pages = new Pages();
  const status = new StatusItem();
  const inactive = new InactiveRegions();
  let program: Program | undefined;
  let starting: Promise<void> | undefined;

  const folders = () => (workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath);
  const tree = () =>
    [...folders(), ...workspace.textDocuments.filter(isFile).map((document) => document.uri.fsPath)]
      .map(treeAround)
      .find((root) => root);
  const openSettings = () => commands.executeCommand("workbench.action.openSettings", "kexpert.server.command");

  const start = async () => {
    program = findProgram([...folders(), ...(tree() ? [tree()!] : [])]);
    if (!program) {
      status.stopped("kexpert is not installed");
      offerToInstall(openSettings);
      return;
    }
    log.info(`starting ${program.command} serve (${program.origin})`);
    const own: QuietClient = (client = makeClient(context, program, log, {
      executeCommand: (command, args, run) => runCommand(own, pages, command, args, run),
      status: (state) => status.update(state),
      inactive: (uri, regions) => inactive.update(uri, regions),
      crashed: async (message) => {
        status.stopped(message);
        const picked = await window.showErrorMessage(`kexpert: ${message}`, "Restart", "Show Log");
        picked === "Restart" ? restart() : picked && log.show();
      },
    }));
    try {
      await own.start();
    } catch (problem) {
      const why = (await own.lastLine()) || String(problem);
      status.stopped(why);
      const message = `kexpert: "${program.command} serve" ends at once: ${why}`;
      const picked = await window.showErrorMessage(message, "Doctor", "Show Log");
      picked === "Doctor" ? commands.executeCommand("kexpert.doctor") : picked && log.show();
    }
  };
  stop = async () => {
    const ending = client;
    client = undefined;
    inactive.clear();
    await ending?.dispose().catch(() => {}); // one that never started cannot be stopped
  };
  const restart = async () => {
    await stop();
    await start();
  };
  const startIfWanted = () => {
    if (!client && !starting && tree()) {
      starting = start().finally(() => (starting = undefined));
    }
    return starting;
  };
  const withClient = (act: (running: LanguageClient) => unknown) => async () => {
    await startIfWanted();
    if (client?.isRunning()) {
      return act(client);
    }
    window.showWarningMessage("kexpert: no server runs; open a file of a kernel tree, or run kexpert: Doctor");
  };

  const registered: Record<string, (...args: never[]) => unknown> = {
    "kexpert.restart": restart,
    "kexpert.menu": () => showMenu(client),
    "kexpert.showLog": () => log.show(),
    "kexpert.doctor": () => {
      program = findProgram([...folders(), ...(tree() ? [tree()!] : [])]);
      return showDoctor(pages, program, tree(), client?.isRunning() ?? false);
    },
    "kexpert.chooseModel": () => (program ? chooseModel(program) : offerToInstall(openSettings)),
    "kexpert.toggleGhostText": () => setInline(!workspace.getConfiguration("kexpert").get("inline.enabled", true)),
    "kexpert.searchMeaning": withClient((running) =>
      searchAsTyped(running, status, "kexpert.search", "Search by meaning", "What does it do? path:, kind:, subsystem:, config:"),
    ),
    "kexpert.grepTree": withClient((running) =>
      searchAsTyped(running, status, "kexpert.grep", "Grep", "A regular expression; a match may span lines"),
    ),
    "kexpert.showUses": showUses,
  };
  for (const [name, run] of Object.entries(registered)) {
    context.subscriptions.push(commands.registerCommand(name, run));
  }
  context.subscriptions.push(
    log, pages, status, inactive,
    workspace.onDidOpenTextDocument((document) => isFile(document) && startIfWanted()),
    workspace.onDidChangeWorkspaceFolders(() => startIfWanted()),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration("kexpert.server") || change.affectsConfiguration("kexpert.navigation")) {
        restart();
      }
    }),
  );
  await startIfWanted();
}

export async function deactivate(): Promise<void> {
  await stop();
}

function isFile(document: TextDocument): boolean {
  return document.uri.scheme === "file";
}

/** A command of the server, from a code action or the palette: ask what it lacks, show what it answers. */
async function runCommand(
  client: LanguageClient, pages: Pages, command: string, given: unknown[], run: ExecuteCommandSignature,
): Promise<unknown> {
  if (command === "kexpert.explain") {
    const args = given.length ? given : place();
    const nothing = "there is no function or macro here to explain";
    return args && pages.follow(client, "Explanation", (token) => run(command, [...args, token]) as Promise<unknown>, nothing);
  }
  if (command === "kexpert.callChain" && !given.length) {
    const editor = window.activeTextEditor;
    const at = editor && [editor.document.uri.toString(), editor.selection.active];
    const nothing = "there is no function or macro here";
    return at && pages.follow(client, "Call Chain", () => run(command, at) as Promise<unknown>, nothing);
  }
  if (command === "kexpert.ask") {
    const asked = given.length ? String(given[0]) : await window.showInputBox({
      prompt: "Ask about the kernel", placeHolder: "Who calls vfs_read()?",
    });
    return asked && pages.follow(client, asked, (token) => run(command, [asked, token, ...activeFile()]) as Promise<unknown>, "no answer");
  }
  if (command === "kexpert.diff") {
    return pages.follow(client, "Changes", () => run(command, given) as Promise<unknown>, "nothing is changed");
  }
  if (command === "kexpert.findSimilar") {
    const args = given.length ? given : place();
    return args && pickResult("Similar code", (await run(command, args)) ?? []);
  }
  if (command === "kexpert.references" && !given.length) {
    return peekWrites(run);
  }
  if (command === "kexpert.reindex") {
    window.setStatusBarMessage("kexpert: looking through the tree for changes", 3000);
  }
  return run(command, command === "kexpert.reindex" ? activeFile() : given);
}

/** Where the name under the cursor is written, or its address taken. */
async function peekWrites(run: ExecuteCommandSignature): Promise<unknown> {
  const editor = window.activeTextEditor;
  if (!editor) {
    return undefined;
  }
  const { uri } = editor.document;
  const at = editor.selection.active;
  const found = (await run("kexpert.references", [uri.toString(), at, { writes: true }])) as WrittenAt[] | null;
  if (!found?.length) {
    window.showInformationMessage("kexpert: no writes are known");
    return undefined;
  }
  const locations = found.map(({ uri: where, range: { start, end } }) =>
    new Location(Uri.parse(where), new Range(start.line, start.character, end.line, end.character)));
  return commands.executeCommand("editor.action.peekLocations", uri, at, locations, "peek");
}

/** The selection of the active editor, as the server's commands take it. */
function place(): unknown[] | undefined {
  const editor = window.activeTextEditor;
  return editor && [editor.document.uri.toString(), { start: editor.selection.start, end: editor.selection.end }];
}

/** A click on a lens: the callers, the implementations or the table. */
async function showUses(uri: string, at: { line: number; character: number }, kind: string): Promise<void> {
  const editor = await window.showTextDocument(Uri.parse(uri), {
    selection: new Range(new Position(at.line, at.character), new Position(at.line, at.character)),
  });
  if (kind === "operation") {
    editor.revealRange(editor.selection);
  } else {
    const implementations = kind === "implementations";
    await commands.executeCommand(`editor.action.${implementations ? "goToImplementation" : "goToReferences"}`);
  }
}
