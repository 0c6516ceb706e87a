"""Gets a version of a client from the npm registry into `.build/real/<agent>/<version>`; nothing global."""
import json
import os
import platform
import shutil
import subprocess

# This system, as packages of one system are called.
SYSTEM = f"{platform.system().lower()}-{ {'x86_64': 'x64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }"
# Node's program alone, without an install script; for clients that need a newer one than many systems have.
NODE = f"node-{SYSTEM}"
NPM = ["npm", "--no-audit", "--no-fund", "--loglevel=error"]


def at_hand():
    return shutil.which("npm") is not None and shutil.which("node") is not None


def versions(package):
    """Every version with the day it came, oldest first; pre-releases left out."""
    told = subprocess.run([*NPM, "view", package, "time", "--json"], capture_output=True, text=True, timeout=120)
    if told.returncode:
        return []
    rows = [(day, name) for name, day in json.loads(told.stdout).items() if name[0].isdigit() and "-" not in name]
    return [(name, day[:10]) for day, name in sorted(rows)]


def newest(package):
    told = subprocess.run([*NPM, "view", package, "version"], capture_output=True, text=True, timeout=120)
    return told.stdout.strip() or None


def install(root, agent, package, version, beside):
    """The folder of a version, installed where it is not yet, with what it needs beside it; None where the registry has not got it."""
    folder = os.path.join(root, ".build", "real", agent, version)
    done = os.path.join(folder, "installed")
    if not os.path.exists(done):
        os.makedirs(folder, exist_ok=True)
        # The version by name: under an older Node npm takes an older version without a word.
        command = [*NPM, "install", "--prefix", folder, "--ignore-scripts", package, *beside]
        if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=600).returncode:
            shutil.rmtree(folder, ignore_errors=True)
            return None
        open(done, "w").close()
    return folder
