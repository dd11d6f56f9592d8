// Pages that the server writes (explanations, answers, the doctor): beside the code, growing while they are written.

import { commands, Disposable, EventEmitter, TabInputWebview, Uri, window, workspace } from "vscode";
import { LanguageClient, ProgressType } from "vscode-languageclient/node";

const SCHEME = "kexpert";

interface Page {
  markdown: string;
}

export class Pages implements Disposable {
  private readonly texts = new Map<string, string>();
  private readonly changed = new EventEmitter<Uri>();
  private readonly parts: Disposable[] = [this.changed];
  private count = 0;

  constructor() {
    const provider = {
      onDidChange: this.changed.event,
      provideTextDocumentContent: (uri: Uri) => this.texts.get(uri.toString()) ?? "",
    };
    this.parts.push(
      workspace.registerTextDocumentContentProvider(SCHEME, provider),
      workspace.onDidCloseTextDocument((document) => this.texts.delete(document.uri.toString())),
      window.tabGroups.onDidChangeTabs(() => this.noteActive()),
      window.tabGroups.onDidChangeTabGroups(() => this.noteActive()),
    );
  }

  dispose(): void {
    this.parts.forEach((part) => part.dispose());
  }

  /** Show a page beside the code; returns what changes its text. */
  async open(title: string, markdown: string): Promise<(markdown: string) => void> {
    const name = title.replace(/[/\\?#%]/g, " ").slice(0, 80);
    const uri = Uri.from({ scheme: SCHEME, path: `/${++this.count}/${name}.md` });
    this.texts.set(uri.toString(), markdown);
    await workspace.openTextDocument(uri);
    await commands.executeCommand("markdown.showPreviewToSide", uri);
    this.noteActive();
    return (newer) => {
      this.texts.set(uri.toString(), newer);
      this.changed.fire(uri);
    };
  }

  /** Run a command of the server that writes a page, and show what it has so far until it is done. */
  async follow(
    client: LanguageClient, title: string, run: (token: string) => Promise<unknown>, nothing: string,
  ): Promise<void> {
    const token = `kexpert-page-${++this.count}`;
    let update: Promise<(markdown: string) => void> | undefined;
    const show = async (page: Page) => {
      update ??= this.open(title, page.markdown);
      (await update)(page.markdown);
    };
    const listening = client.onProgress(new ProgressType<Page>(), token, show);
    try {
      const answer = (await run(token)) as Page | null;
      if (answer) {
        await show(answer);
      } else {
        window.showInformationMessage(`kexpert: ${nothing}`);
      }
    } finally {
      listening.dispose();
    }
  }

  /** `q` closes a page: the key is bound while one is in front. */
  private noteActive(): void {
    const tab = window.tabGroups.activeTabGroup.activeTab;
    const isPreview = tab?.input instanceof TabInputWebview && tab.input.viewType.includes("markdown.preview");
    const isOurs = isPreview && [...this.texts.keys()].some((key) => tab.label.includes(fileName(key)));
    commands.executeCommand("setContext", "kexpert.pageActive", isOurs);
  }
}

function fileName(uri: string): string {
  return decodeURIComponent(uri.slice(uri.lastIndexOf("/") + 1));
}

