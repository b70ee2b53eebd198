"""Sphinx extension: everything on the site that needs the repository's address is made from pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

from sphinx.application import Sphinx


def read_project(root: Path) -> dict:
    """The `[project]` table of pyproject.toml."""
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def site_address(repository: str) -> str:
    """Where GitHub Pages serves the book of a repository."""
    owner, name = repository.rstrip("/").split("/")[-2:]
    return f"https://{owner.lower()}.github.io/{name}/"


def configure(app: Sphinx, config) -> None:
    project = read_project(Path(app.srcdir))
    repository = project["urls"]["Repository"]
    config.version = config.release = project["version"]
    config.html_baseurl = config.ogp_site_url = site_address(repository)
    config.ogp_site_name = config.project
    config.html_theme_options.update(
        repository_url=repository,
        repository_branch="main",
        path_to_docs="",
        use_repository_button=True,
        use_issues_button=True,
        use_edit_page_button=True,
    )


def setup(app: Sphinx):
    app.connect("config-inited", configure, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
