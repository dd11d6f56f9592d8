import { window } from "vscode";

/** The URI of the active file, as a command's last argument: the server answers from that file's tree. */
export function activeFile(): string[] {
  const uri = window.activeTextEditor?.document.uri;
  return uri?.scheme === "file" ? [uri.toString()] : [];
}
