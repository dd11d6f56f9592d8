// Pages that the server writes (explanations, answers) and the doctor's: beside the code, growing while they are written.

import { randomBytes } from "node:crypto";
import { commands, Disposable, Range, Uri, ViewColumn, WebviewPanel, window } from "vscode";
import { LanguageClient, ProgressType } from "vscode-languageclient/node";

/** In place of `file:`, which the Markdown of VS Code makes no links of. */
const LINK_SCHEME = "kexpert-file:";

interface Page {
  markdown: string;
}

export class Pages implements Disposable {
  private readonly panels = new Set<WebviewPanel>();
  private count = 0;

  dispose(): void {
    this.panels.forEach((panel) => panel.dispose());
  }

  /** Show a page beside the code; returns what changes its text. */
  async open(title: string, markdown: string): Promise<(markdown: string) => Promise<void>> {
    const column = window.activeTextEditor?.viewColumn ?? ViewColumn.One;
    const place = { viewColumn: ViewColumn.Beside, preserveFocus: false };
    const panel = window.createWebviewPanel("kexpert.page", title, place, { enableScripts: true, enableFindWidget: true });
    this.panels.add(panel);
    panel.onDidDispose(() => this.panels.delete(panel));
    panel.webview.onDidReceiveMessage(({ close, link }: { close?: boolean; link?: string }) => {
      if (close) {
        panel.dispose();
      } else if (link) {
        follow(link, column);
      }
    });
    panel.webview.html = frame(await rendered(markdown));
    return async (newer) => {
      if (this.panels.has(panel)) {
        await panel.webview.postMessage({ html: await rendered(newer) });
      }
    };
  }

  /** Run a command of the server that writes a page, and show what it has so far until it is done. */
  async follow(
    client: LanguageClient, title: string, run: (token: string) => Promise<unknown>, nothing: string,
  ): Promise<void> {
    const token = `kexpert-page-${++this.count}`;
    let update: Promise<(markdown: string) => Promise<void>> | undefined;
    const show = async (page: Page) => {
      const isFirst = !update;
      update ??= this.open(title, page.markdown);
      const change = await update;
      if (!isFirst) {
        await change(page.markdown);
      }
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
}

async function rendered(markdown: string): Promise<string> {
  return commands.executeCommand<string>("markdown.api.render", markdown.replaceAll("](file:", `](${LINK_SCHEME}`));
}

async function follow(link: string, viewColumn: ViewColumn): Promise<void> {
  const uri = Uri.parse(link.replace(LINK_SCHEME, "file:"));
  const line = Math.max(0, Number(/^L(\d+)/.exec(uri.fragment)?.[1] ?? 1) - 1);
  await window.showTextDocument(uri.with({ fragment: "" }), { selection: new Range(line, 0, line, 0), viewColumn });
}

/** The page around the text: no script but this one runs, and nothing is fetched. */
function frame(html: string): string {
  const nonce = randomBytes(16).toString("base64url");
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'">
<style nonce="${nonce}">
  body { font-size: 14px; line-height: 1.5; max-width: 60em; padding: 0 1.5em 2em; }
  a { color: var(--vscode-textLink-foreground); text-decoration: none; }
  a:hover { text-decoration: underline; }
  code { font-family: var(--vscode-editor-font-family); background: var(--vscode-textCodeBlock-background); padding: 0 .2em; }
  pre { background: var(--vscode-textCodeBlock-background); padding: .7em; overflow-x: auto; }
  h1 code { background: none; padding: 0; }
  pre code { padding: 0; white-space: pre-wrap; }
  table { border-collapse: collapse; }
  td, th { border-bottom: 1px solid var(--vscode-panel-border); padding: .2em .8em .2em 0; text-align: left; vertical-align: top; }
</style></head>
<body><main id="text">${html}</main>
<script nonce="${nonce}">
  const vscode = acquireVsCodeApi();
  addEventListener("message", ({ data }) => { document.getElementById("text").innerHTML = data.html; });
  addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='${LINK_SCHEME}']");
    if (link) { event.preventDefault(); vscode.postMessage({ link: link.getAttribute("href") }); }
  });
  addEventListener("keydown", (event) => {
    if (event.key === "q" && !event.ctrlKey && !event.altKey && !event.metaKey) { vscode.postMessage({ close: true }); }
  });
</script></body></html>`;
}
