"""The real clients, one module each: how it is installed, its home, its command lines, its scripts, its scenarios.

A module names `NAME`, `PACKAGE` (npm), `BESIDE` (packages that it needs beside it), `SCRIPTS` for the model, `HELPERS` (whose script is for which sub-agent),
`HAS_LIMITS` (whether its files tell any), `prepare(world)`, `SCENARIOS` (name to function) and `files(home)`, the files that the agent wrote. A scenario plays and says when things should be so; `checks.py` compares.
"""
