"""Packs a folder into a .tar.gz or .zip whose bytes depend on nothing but the files and SOURCE_DATE_EPOCH.

    pack.py ARCHIVE FOLDER
"""

import gzip
import io
import os
import pathlib
import sys
import tarfile
import time
import zipfile

archive, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
when = int(os.environ["SOURCE_DATE_EPOCH"])
files = sorted(path for path in folder.rglob("*") if path.is_file())


def mode(path):
    return 0o755 if os.access(path, os.X_OK) else 0o644


if archive.suffix == ".zip":
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder.parent).as_posix(), time.gmtime(when)[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, for the permissions
            entry.external_attr = (0o100000 | mode(path)) << 16
            out.writestr(entry, path.read_bytes())
else:
    with open(archive, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=when) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as out:
            for path in files:
                content = path.read_bytes()
                entry = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
                entry.size, entry.mtime, entry.mode = len(content), when, mode(path)
                out.addfile(entry, io.BytesIO(content))
