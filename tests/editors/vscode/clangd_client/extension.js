// A client of clangd with the settings of the extension vscode-clangd, which no registry of packages has.

const { window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function follow() {
  await client?.dispose();
  client = undefined;
  const settings = workspace.getConfiguration("clangd");
  const command = settings.get("path");
  if (command) {
    const log = window.createOutputChannel("clangd", { log: true });
    const options = { documentSelector: [{ scheme: "file", language: "c" }], outputChannel: log };
    client = new LanguageClient("clangd", { command, args: settings.get("arguments") }, options);
    await client.start();
  }
}

exports.activate = async (context) => {
  context.subscriptions.push(workspace.onDidChangeConfiguration((change) => change.affectsConfiguration("clangd") && follow()));
  await follow();
};
exports.deactivate = () => client?.dispose();
