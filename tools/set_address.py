"""Give the repository its public address, everywhere at once.

Usage: python tools/set_address.py https://github.com/OWNER/NAME
       python tools/set_address.py --check

The address stands in pyproject.toml under [project.urls]. Everything else that holds it is made from there: the book
while it is built (_ext/address.py), and by this script the Colab cells of the chapters and of the assignments, the
badges and links of README.md and of the pages, and CITATION.cff. `--check` says where another address stands.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE = ("README.md", "CONTRIBUTING.md", "CITATION.cff", "book/**/*.md", "notebooks/*.ipynb")
MADE += ("assignments/*.ipynb", "assignments/student/*.ipynb", ".github/**/*.yml")
SLUG = r"(?P<slug>[\w.-]+/[\w.-]*\w)"  # OWNER/NAME; a full stop at its end is the sentence's
REPOSITORY = re.compile(rf"https://github\.com/{SLUG}/?")
# where a link to this repository and no other can stand
OWN = [
    re.compile(rf"git\+https://github\.com/{SLUG}"),
    re.compile(rf"(?:git clone|repository-code:) https://github\.com/{SLUG}"),
    re.compile(rf"https://github\.com/{SLUG}/actions/"),
    re.compile(rf"https://colab\.research\.google\.com/github/{SLUG}/blob/"),
    re.compile(rf"https://raw\.githubusercontent\.com/{SLUG}/main/"),
    re.compile(rf"https://mybinder\.org/v2/gh/{SLUG}/"),
]
PAGES = re.compile(r"https://(?P<slug>[\w-]+\.github\.io/[\w.-]*\w)")


def read_address(root: Path) -> str:
    """The address in pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]


def slug_of(address: str) -> str:
    """OWNER/NAME of a repository's address."""
    match = REPOSITORY.fullmatch(address)
    if match is None or match["slug"].endswith(".git"):
        sys.exit(f"the address must be https://github.com/OWNER/NAME, got {address}")
    return match["slug"]


def pages_of(slug: str) -> str:
    """Where GitHub Pages serves the book of a repository."""
    owner, name = slug.split("/")
    return f"{owner.lower()}.github.io/{name}"


def made_files(root: Path) -> list[Path]:
    """The files that hold the address, besides pyproject.toml."""
    return sorted(path for pattern in MADE for path in root.glob(pattern) if path.is_file())


def disagreements(root: Path) -> list[str]:
    """One "FILE, line N: LINK" for every link to this repository that is not to the address in pyproject.toml."""
    slug = slug_of(read_address(root))
    found = []
    for path in made_files(root):
        expected = [(pattern, slug) for pattern in OWN]
        if path.parent == root:  # a chapter may lead to somebody else's pages
            expected.append((PAGES, pages_of(slug)))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for pattern, right in expected:
                wrong = [match[0] for match in pattern.finditer(line) if match["slug"] != right]
                found += [f"{path.relative_to(root).as_posix()}, line {number}: {link}" for link in wrong]
    return found


def set_address(root: Path, address: str) -> list[str]:
    """Put the new address in place of the old one; returns the files that were changed."""
    old, new = slug_of(read_address(root)), slug_of(address)
    changed = []
    for path in [root / "pyproject.toml", *made_files(root)]:
        before = path.read_bytes()
        after = before
        for one, other in ((old, new), (pages_of(old), pages_of(new))):
            after = re.sub(rb"(?<![\w.-])%b(?![\w-])" % re.escape(one.encode()), other.encode(), after)
        if after != before:
            path.write_bytes(after)
            changed.append(path.relative_to(root).as_posix())
    return changed


def main(*arguments: str) -> None:
    if len(arguments) != 1:
        sys.exit(__doc__)
    if arguments[0] != "--check":
        print("changed:", ", ".join(set_address(ROOT, arguments[0])) or "nothing")
    if wrong := disagreements(ROOT):
        sys.exit("another address than pyproject.toml's:\n" + "\n".join(wrong))


if __name__ == "__main__":
    main(*sys.argv[1:])
