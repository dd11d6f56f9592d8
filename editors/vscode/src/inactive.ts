// Dims the branches of #if that the server says are not compiled.

import { Disposable, Range, TextEditor, window } from "vscode";

/** A range of the protocol. */
export interface Region {
  start: { line: number };
  end: { line: number; character: number };
}

export class InactiveRegions implements Disposable {
  private readonly dimmed = window.createTextEditorDecorationType({ opacity: "0.45" });
  private readonly regions = new Map<string, Range[]>();
  private readonly watching = window.onDidChangeVisibleTextEditors((editors) => editors.forEach((each) => this.draw(each)));

  dispose(): void {
    this.watching.dispose();
    this.dimmed.dispose();
  }

  update(uri: string, regions: Region[]): void {
    this.regions.set(uri, regions.map(({ start, end }) => new Range(start.line, 0, end.line, end.character)));
    window.visibleTextEditors.forEach((editor) => this.draw(editor));
  }

  clear(): void {
    this.regions.clear();
    window.visibleTextEditors.forEach((editor) => editor.setDecorations(this.dimmed, []));
  }

  private draw(editor: TextEditor): void {
    const uri = editor.document.uri;
    const known = this.regions.get(uri.toString()) ?? this.regions.get(`file://${encodeURI(uri.path)}`);
    editor.setDecorations(this.dimmed, known ?? []);
  }
}
