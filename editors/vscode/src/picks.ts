// Search by meaning, grep and similar code: a list that follows what is typed, with the place in the editor behind it.

import { CancellationTokenSource, QuickPick, QuickPickItem, Range, TextEditor, Uri, ViewColumn, window } from "vscode";
import { LanguageClient } from "vscode-languageclient/node";
import { activeFile } from "./active";
import { StatusItem } from "./status";

const TYPING_PAUSE_MS = 200;
/** While the tree is being read, the list is made anew so often. */
const REFRESH_MS = 2000;
const LIMIT = 50;

/** A result of the server's commands; `location` has the form of the protocol. */
interface SearchResult {
  name: string;
  kind: string;
  path: string;
  location: { uri: string; range: Range };
  lines: { line: number; text: string }[];
}

interface ResultItem extends QuickPickItem {
  location: SearchResult["location"];
}

/** A list whose entries the server finds for what is typed; it says that it lacks some while the tree is being read. */
export function searchAsTyped(
  client: LanguageClient, status: StatusItem, command: string, title: string, placeholder: string,
): void {
  const pick = window.createQuickPick<ResultItem>();
  const selected = window.activeTextEditor?.document.getText(window.activeTextEditor.selection);
  let running: CancellationTokenSource | undefined;
  let timer: NodeJS.Timeout | undefined;
  let outcome = "";
  let [foundAt, isWhole] = [0, true];
  const say = () => {
    pick.title = [title, outcome, status.work && `not all is known yet (${status.work})`].filter(Boolean).join(": ");
  };
  const find = async (query: string) => {
    running?.cancel();
    const own = (running = new CancellationTokenSource());
    if (!query.trim()) {
      pick.items = [];
      pick.busy = false;
      return;
    }
    pick.busy = true;
    [foundAt, isWhole] = [Date.now(), !status.work];
    try {
      const found = await client.sendRequest<SearchResult[]>(
        "workspace/executeCommand", { command, arguments: [query, LIMIT, ...activeFile()] }, own.token,
      );
      if (own === running) {
        fill(pick, found.map(asItem));
        outcome = found.length ? "" : "nothing was found";
      }
    } catch (problem) {
      if (own === running && !own.token.isCancellationRequested) {
        pick.items = [];
        outcome = (problem as Error).message;
      }
    } finally {
      if (own === running) {
        pick.busy = false;
        say();
      }
    }
  };
  const watching = status.onDidChange(() => {
    say();
    isWhole &&= !status.work;
    if (!isWhole && !pick.busy && (!status.work || Date.now() - foundAt > REFRESH_MS)) {
      find(pick.value);
    }
  });
  say();
  pick.placeholder = placeholder;
  pick.onDidChangeValue((value) => {
    clearTimeout(timer);
    timer = setTimeout(() => find(value), TYPING_PAUSE_MS);
  });
  pick.onDidHide(() => {
    running?.cancel();
    watching.dispose();
  });
  show(pick);
  if (selected && !selected.includes("\n")) {
    pick.value = selected;
    find(selected);
  }
}

/** A list of results that are there already. */
export function pickResult(title: string, results: SearchResult[]): void {
  const pick = window.createQuickPick<ResultItem>();
  pick.title = title;
  pick.placeholder = results.length ? "Go to" : "Nothing was found";
  pick.items = results.map(asItem);
  show(pick);
}

/** Change the entries; one that the user has moved to stays the active one. */
function fill(pick: QuickPick<ResultItem>, items: ResultItem[]): void {
  const [active] = pick.activeItems;
  const moved = active !== pick.items[0];
  pick.items = items;
  const same = moved && items.find((item) => item.label === active?.label && item.description === active.description);
  if (same) {
    pick.activeItems = [same];
  }
}

function asItem(result: SearchResult): ResultItem {
  return {
    label: result.name || result.path,
    description: `${result.kind} in ${result.path}:${result.location.range.start.line + 1}`,
    detail: result.lines.map((line) => line.text.trim()).join("  …  "),
    location: result.location,
    alwaysShow: true, // the server has chosen already
  };
}

/** Show the list; the active entry is previewed, and the editor is as before if none is taken. */
function show(pick: ReturnType<typeof window.createQuickPick<ResultItem>>): void {
  const before = window.activeTextEditor;
  const place = before && { document: before.document, selection: before.selection, column: before.viewColumn };
  let taken = false;
  pick.matchOnDescription = pick.matchOnDetail = true;
  pick.onDidChangeActive(([item]) => item && open(item, true));
  pick.onDidAccept(async () => {
    const [item] = pick.selectedItems;
    if (item) {
      taken = true;
      pick.hide();
      await open(item, false);
    }
  });
  pick.onDidHide(() => {
    pick.dispose();
    if (!taken && place) {
      window.showTextDocument(place.document, { selection: place.selection, viewColumn: place.column });
    }
  });
  pick.show();
}

async function open(item: ResultItem, isPreview: boolean): Promise<TextEditor> {
  const { start, end } = item.location.range;
  const selection = new Range(start.line, start.character, end.line, end.character);
  const viewColumn = ViewColumn.Active;
  const options = { selection, viewColumn, preview: isPreview, preserveFocus: isPreview };
  return window.showTextDocument(Uri.parse(item.location.uri), options);
}
