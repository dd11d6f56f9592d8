// The language client: starts the server, starts it again after a crash, hands on its state.

import { ExtensionContext, LogOutputChannel, window, workspace } from "vscode";
import {
  CloseAction,
  CloseHandlerResult,
  ErrorAction,
  ExecuteCommandSignature,
  LanguageClientOptions,
  State,
  StaticFeature,
} from "vscode-languageclient/node";
import { Region } from "./inactive";
import { Program } from "./program";
import { QuietClient } from "./quiet_client";

/** Prefix of the settings that this extension alone reads; the others under "kexpert" go to the server. */
const OWN_PREFIX = "kexpert.server.";
const MAX_CRASHES = 4;
const WINDOW_MS = 3 * 60_000;

export interface Status {
  health: "ok" | "warning" | "error";
  quiescent: boolean;
  message: string;
}

export interface Handlers {
  executeCommand: (command: string, args: unknown[], run: ExecuteCommandSignature) => Promise<unknown>;
  status: (status: Status) => void;
  inactive: (uri: string, regions: Region[]) => void;
  crashed: (message: string) => void;
}

/** Capabilities that the protocol has no words for. */
const ANNOUNCED: StaticFeature = {
  fillClientCapabilities(capabilities) {
    capabilities.experimental = {
      ...(capabilities.experimental as object),
      kexpertExplain: true,
      kexpertLinks: true,
      serverStatusNotification: true,
    };
    (capabilities.textDocument as Record<string, unknown>).inactiveRegionsCapabilities = { inactiveRegions: true };
  },
  initialize() {},
  getState: () => ({ kind: "static" }),
  clear() {},
};

export function makeClient(
  context: ExtensionContext, program: Program, log: LogOutputChannel, handlers: Handlers,
): QuietClient {
  const options: LanguageClientOptions = {
    documentSelector: [
      { scheme: "file", language: "c" },
      { scheme: "file", language: "cpp", pattern: "**/*.h" }, // VS Code takes headers for C++
      { scheme: "file", language: "kconfig" },
      { scheme: "file", language: "kernel-config" },
      { scheme: "file", language: "maintainers" },
      { scheme: "file", pattern: "**/{Makefile,Kbuild,Makefile.*}" },
    ],
    initializationOptions: () => userSettings(context),
    synchronize: { configurationSection: "kexpert" },
    outputChannel: log,
    middleware: {
      executeCommand: handlers.executeCommand,
      workspace: {
        configuration: (params) =>
          params.items.map((item) => (item.section === "kexpert" ? userSettings(context) : null)),
      },
    },
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: restartOrGiveUp(() => hasRun, handlers),
    },
    initializationFailedHandler: () => false,
  };
  let hasRun = false;
  const client = new QuietClient("kexpert", { command: program.command, args: ["serve"] }, options);
  client.registerFeature(ANNOUNCED);
  client.onNotification("experimental/serverStatus", handlers.status);
  client.onNotification("textDocument/inactiveRegions", (params) =>
    handlers.inactive(params.textDocument.uri, params.regions),
  );
  client.onDidChangeState(({ newState }) => {
    if (newState === State.Running) {
      hasRun = true;
      handlers.status({ health: "ok", quiescent: true, message: "" });
    } else if (newState === State.Starting) {
      handlers.status({ health: "ok", quiescent: false, message: "kexpert: the server starts" });
    }
  });
  return client;
}

/**
 * After MAX_CRASHES crashes within the window the server stays down, and the user is told. One that never ran is not
 * started again: whoever started it is told why.
 */
function restartOrGiveUp(hasRun: () => boolean, handlers: Handlers): () => CloseHandlerResult {
  const crashes: number[] = [];
  return () => {
    if (!hasRun()) {
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    const now = Date.now();
    crashes.push(now);
    while (crashes.length && crashes[0]! < now - WINDOW_MS) {
      crashes.shift();
    }
    if (crashes.length <= MAX_CRASHES) {
      return { action: CloseAction.Restart, handled: true };
    }
    handlers.crashed(`the server ended ${crashes.length} times within 3 minutes and is not started again`);
    return { action: CloseAction.DoNotRestart, handled: true };
  };
}

/** The settings that the user changed. Sending defaults too would override the tree's kexpert.toml. */
export function userSettings(context: ExtensionContext): Record<string, unknown> {
  const all = workspace.getConfiguration();
  const groups = context.extension.packageJSON.contributes.configuration as { properties: object }[];
  const known = groups.flatMap((group) => Object.keys(group.properties));
  const changed = known
    .filter((key) => !key.startsWith(OWN_PREFIX))
    .map((key) => {
      const set = all.inspect(key);
      return [key.slice("kexpert.".length), set?.workspaceFolderValue ?? set?.workspaceValue ?? set?.globalValue];
    });
  return Object.fromEntries(changed.filter(([, value]) => value !== undefined));
}

export function newLog(): LogOutputChannel {
  return window.createOutputChannel("kexpert", { log: true });
}
