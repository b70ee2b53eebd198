"""Fetch the browser files that the book serves itself, and the driver of its browser check.

Usage: python tools/browser_files.py [site] [driver]

Needs npm, only as a downloader: no install script runs, and every package's checksum is compared with
browser_files.json. `site` goes to _vendor/site/, `driver` (playwright-core, no browser) to _vendor/node_modules/.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

LOCK = Path(__file__).with_suffix(".json")
VENDOR = Path(__file__).resolve().parents[1] / "_vendor"
MATHJAX = ("es5/tex-mml-chtml.js", "es5/output/chtml/fonts/woff-v2/", "es5/input/tex/extensions/", "LICENSE")


def place(package: str, name: str) -> str | None:
    """Where a file of a package goes under _vendor/, or None to leave it out."""
    if package == "mathjax":
        return f"site/mathjax/{name.removeprefix('es5/')}" if name.startswith(MATHJAX) else None
    if package == "requirejs":
        return "site/requirejs/require.js" if name == "require.js" else None
    if package == "@jupyter-widgets/html-manager":
        wanted = name in ("dist/embed-amd.js", "LICENSE") or name.endswith(".woff2")
        return f"site/html-manager/{Path(name).name}" if wanted else None
    return f"node_modules/{package}/{name}"


def fetch(npm: str, package: str, version: str, checksum: str) -> None:
    """Download one package, compare its checksum, and unpack what is wanted of it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--ignore-scripts", "--pack-destination", folder, f"{package}@{version}"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if done.returncode:
            sys.exit(f"{package}@{version} could not be downloaded:\n{done.stderr.strip()}")
        tarball = next(Path(folder).glob("*.tgz"))
        found = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
        if found != checksum:
            sys.exit(f"{package}@{version}: checksum is {found}, expected {checksum}")
        with tarfile.open(tarball) as archive:
            for member in archive.getmembers():
                target = place(package, member.name.partition("/")[2])
                if target and member.isfile() and ".." not in target:
                    path = VENDOR / target
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(archive.extractfile(member).read())
    print(f"{package} {version}", flush=True)


def main(*groups: str) -> None:
    for group, packages in json.loads(LOCK.read_text(encoding="utf-8")).items():
        stamp = VENDOR / f"{group}.json"
        if group not in groups or (stamp.exists() and json.loads(stamp.read_text(encoding="utf-8")) == packages):
            continue
        npm = shutil.which("npm") or sys.exit("npm was not found: install Node.js")
        for package, (version, checksum) in packages.items():
            fetch(npm, package, version, checksum)
        stamp.write_text(json.dumps(packages), encoding="utf-8")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ("site", "driver")))
