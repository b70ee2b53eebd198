"""Sphinx extension: MathJax, RequireJS and the Jupyter widget manager are served by the book itself.

`tools/browser_files.py` puts them in `_vendor/site/`. Where that folder is missing the pages load the same files from
a CDN, as Jupyter Book does, and the build says so.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def configure(app: Sphinx, config) -> None:
    # before myst-nb reads its own settings (at builder-inited)
    site = Path(app.srcdir) / "_vendor" / "site"
    if not (site / "html-manager" / "embed-amd.js").exists():
        logger.info("own assets: no _vendor/site, so the pages will load MathJax and widgets from a CDN")
        return
    config.html_static_path.append(str(site))
    config.mathjax_path = "mathjax/tex-mml-chtml.js"
    config.nb_ipywidgets_js = {
        "requirejs/require.js": {},
        "widgets_setup.js": {},  # book/static/: where the widget manager finds its parts
        "html-manager/embed-amd.js": {"data-jupyter-widgets-cdn": "/no-cdn/"},
    }


def drop_repeated_scripts(app: Sphinx, pagename, templatename, context, doctree) -> None:
    # an in-line script that an extension adds after the builder has started lands twice in a page, and a second
    # `const THEBE_JS_URL` is an error in the browser
    seen, kept = set(), []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        if body and body in seen:
            continue
        seen.add(body)
        kept.append(script)
    if "script_files" in context:
        context["script_files"][:] = kept


def setup(app: Sphinx):
    app.connect("config-inited", configure, priority=900)
    # a widget may hold mathematics on a page whose own text has none
    app.connect("builder-inited", lambda app: app.set_html_assets_policy("always"))
    app.connect("html-page-context", drop_repeated_scripts, priority=999)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
