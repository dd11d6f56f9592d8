// A language client that leaves the server's end to this extension: one message instead of one for each lost request.

import { createInterface } from "node:readline";
import { ErrorCodes, Executable, LanguageClient, LanguageClientOptions } from "vscode-languageclient/node";

/** How long the last line of a process that ended may take. */
const LAST_LINE_MS = 1000;

/** What a request or a notification fails with when the server is gone. */
const LOST: number[] = [
  ErrorCodes.MessageWriteError,
  ErrorCodes.MessageReadError,
  ErrorCodes.PendingResponseRejected,
  ErrorCodes.ConnectionInactive,
];

export class QuietClient extends LanguageClient {
  private readonly stderr: { last: string; end: Promise<void> };

  constructor(name: string, server: Executable, options: LanguageClientOptions) {
    const stderr = { last: "", end: Promise.resolve() };
    super(name, server, {
      ...options,
      stdioOptions: {
        stdout: () => {}, // the protocol
        stderr: (input, log) => {
          const lines = createInterface({ input });
          lines.on("line", (line) => {
            log.error(line);
            stderr.last = line.trim() || stderr.last;
          });
          stderr.end = new Promise((resolve) => lines.on("close", resolve));
        },
      },
    });
    this.stderr = stderr;
  }

  /** The last line that the server wrote to stderr before it ended. */
  async lastLine(): Promise<string> {
    await Promise.race([this.stderr.end, new Promise((resolve) => setTimeout(resolve, LAST_LINE_MS))]);
    return this.stderr.last;
  }

  /** Everything goes into the log. `force` is about starting and ending, of which `Handlers` tell the user. */
  override error(message: string, data?: unknown, showNotification?: boolean | "force"): void {
    super.error(message, data, showNotification === "force" || isLost(data) ? false : showNotification);
  }
}

function isLost(problem: unknown): boolean {
  const { code } = (problem ?? {}) as { code?: unknown };
  return typeof code === "number" ? LOST.includes(code) : code === "EPIPE" || code === "ERR_STREAM_DESTROYED";
}
