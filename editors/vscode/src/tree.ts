// Kernel trees, by the same files that the server looks for.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

/** The kernel tree around a path; undefined if it is in none. */
export function treeAround(path: string): string | undefined {
  const has = (name: string) => existsSync(join(path, name));
  if (has("Kconfig") && has("Makefile") && (has("MAINTAINERS") || has("include/linux"))) {
    return path;
  }
  return dirname(path) === path ? undefined : treeAround(dirname(path));
}
