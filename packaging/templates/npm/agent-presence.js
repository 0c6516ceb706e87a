#!/usr/bin/env node
// Runs the program in the package for this system, as if it had been called itself.
"use strict";

const { spawn } = require("node:child_process");
const { isatty } = require("node:tty");

const system = { darwin: "macos", win32: "windows" }[process.platform] ?? process.platform;
const name = `@NAME@/${system}-${process.arch}`;

function fail(message, hint) {
  console.error(`error: ${message}\nhint: ${hint}`);
  process.exit(1);
}

function programOf() {
  const known = Object.keys(require("./package.json").optionalDependencies);
  if (!known.includes(`@${name}`)) {
    fail(`there is no program for ${system} on ${process.arch}`, "build it: cargo install agent-presence");
  }
  try {
    return require.resolve(`@${name}/agent-presence${process.platform === "win32" ? ".exe" : ""}`);
  } catch {
    return fail(
      `the package @${name} is missing; optional packages were left out`,
      "install again without --omit=optional (or --no-optional)",
    );
  }
}

const program = programOf();

// What a terminal sends, it sends to the program as well, for which a second signal means: end at once.
// The streams themselves are not touched: they are the program's, and looking at one here would change how it is read.
// Signals are caught before the program starts, so that none ends this process alone. They are handled after this script has run.
const terminal = [0, 1, 2].some(isatty);
const passOn = (signal) => child.kill(signal);
const ignore = () => {};
for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP"]) {
  process.on(signal, terminal ? ignore : passOn);
}
process.on("SIGTERM", passOn);

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });

child.on("error", (error) => fail(`could not start ${child.spawnfile}: ${error.message}`, "install it again"));
child.on("exit", (code, signal) => {
  if (signal === null) {
    process.exit(code);
  }
  // Ended by a signal: end this process by the same one, so that its parent sees it.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
