// The status bar item, and the menu behind it.

import { commands, ConfigurationTarget, Disposable, EventEmitter, QuickPickItem, StatusBarAlignment, window, workspace } from "vscode";
import { LanguageClient } from "vscode-languageclient/node";
import { activeFile } from "./active";
import { Status } from "./server";

interface Action extends QuickPickItem {
  run?: () => unknown;
}

export class StatusItem implements Disposable {
  private readonly changed = new EventEmitter<void>();
  readonly onDidChange = this.changed.event;
  /** What is being read of the tree; empty when all is. */
  work = "";
  private readonly item = window.createStatusBarItem("kexpert.status", StatusBarAlignment.Right, 90);

  constructor() {
    this.item.name = "kexpert";
    this.item.command = "kexpert.menu";
  }

  dispose(): void {
    this.changed.dispose();
    this.item.dispose();
  }

  update(status: Status): void {
    const icon = status.health !== "ok" ? "$(warning)" : status.quiescent ? "$(check)" : "$(sync~spin)";
    const percent = /\d+ %/.exec(status.message)?.[0];
    this.item.text = `${icon} kexpert${percent ? ` ${percent}` : ""}`;
    this.item.tooltip = status.message || "kexpert: the tree is read";
    this.item.show();
    this.work = status.quiescent ? "" : status.message;
    this.changed.fire();
  }

  stopped(message: string): void {
    this.item.text = "$(error) kexpert";
    this.item.tooltip = message;
    this.item.show();
    this.work = "";
    this.changed.fire();
  }
}

/** What a click on the status bar offers; the first lines say how things are. */
export async function showMenu(client: LanguageClient | undefined): Promise<void> {
  const state = client?.isRunning()
    ? await client.sendRequest<Record<string, unknown>>("workspace/executeCommand", { command: "kexpert.status", arguments: activeFile() })
    : undefined;
  const inline = workspace.getConfiguration("kexpert").get("inline.enabled", true);
  const actions: Action[] = [];
  if (state) {
    actions.push(
      { label: `$(info) ${state.tree || "no kernel tree"}`, description: state.isIndexed ? "read" : "being read" },
      {
        label: "$(settings) Configuration…",
        description: String(state.configuration),
        run: () => commands.executeCommand("workbench.action.openSettings", "kexpert.configuration"),
      },
      {
        label: "$(hubot) Choose Model…",
        detail: `ghost text: ${state.completionModel} · explanations: ${state.chatModel}`,
        run: () => commands.executeCommand("kexpert.chooseModel"),
      },
    );
  } else {
    actions.push({ label: "$(error) The server does not run" });
  }
  actions.push(
    { label: `$(sparkle) Ghost Text ${inline ? "Off" : "On"}`, run: () => setInline(!inline) },
    ...ghostTextHere(inline),
    { label: "$(refresh) Re-index", run: () => commands.executeCommand("kexpert.reindex") },
    { label: "$(debug-restart) Restart Server", run: () => commands.executeCommand("kexpert.restart") },
    { label: "$(heart) Doctor", run: () => commands.executeCommand("kexpert.doctor") },
    { label: "$(output) Show Log", run: () => commands.executeCommand("kexpert.showLog") },
  );
  const picked = await window.showQuickPick(actions, { title: "kexpert" });
  await picked?.run?.();
}

export function setInline(on: boolean): Thenable<void> {
  return workspace.getConfiguration("kexpert").update("inline.enabled", on, target());
}

/** Ghost text by folder and by kind of file: patterns of `kexpert.inline.exclude`. */
function ghostTextHere(inline: boolean): Action[] {
  const uri = window.activeTextEditor?.document.uri;
  if (!inline || uri?.scheme !== "file") {
    return [];
  }
  const path = workspace.asRelativePath(uri, false);
  const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
  const extension = /\.\w+$/.exec(path)?.[0];
  return [folder, extension && `*${extension}`]
    .filter((pattern): pattern is string => !!pattern)
    .map((pattern) => {
      const configuration = workspace.getConfiguration("kexpert");
      const excluded = configuration.get<string[]>("inline.exclude", []);
      const isOff = excluded.includes(pattern);
      const others = excluded.filter((each) => each !== pattern);
      return {
        label: `$(sparkle) Ghost Text ${isOff ? "On" : "Off"} in ${pattern}`,
        run: () => configuration.update("inline.exclude", isOff ? others : [...others, pattern], target()),
      };
    });
}

function target(): ConfigurationTarget {
  return workspace.workspaceFolders ? ConfigurationTarget.Workspace : ConfigurationTarget.Global;
}

