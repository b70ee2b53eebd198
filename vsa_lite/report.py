"""`vsa-lite report`: every table and plot of the README and of the results page, made from `results/`.

Nothing is typed by hand: between two marks in each of the two files stands what this module makes. `--check` says
whether it is still what the results give.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
from collections import defaultdict
from pathlib import Path

from vsa_lite.acceptance import judged
from vsa_lite.published import PUBLISHED, published
from vsa_lite.report_plots import plot_of
from vsa_lite.report_sections import SECTIONS, Section
from vsa_lite.report_tables import (
    GROUPS,
    TIME,
    Row,
    escape,
    keys_by_group,
    markdown_table,
    number,
    published_rows,
    rows_of,
    same_everywhere,
)
from vsa_lite.results import load_runs

BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"
MADE_FROM = re.compile(r"made from results [0-9a-f]{16}")


def collect(folder: Path) -> dict[str, list[dict]]:
    """The runs of every results file in a folder, known files first; files without a run are left out.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: for a file that is no list of runs.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder of results at {folder}: run this in the repository, or give --results")
    names = sorted(path.stem for path in folder.glob("*.json"))
    names = [name for name in SECTIONS if name in names] + [name for name in names if name not in SECTIONS]
    found = {name: load_runs(folder / f"{name}.json") for name in names}
    return {name: runs for name, runs in found.items() if runs}


def _section(name: str) -> Section:
    return SECTIONS.get(name, Section(name.replace("_", " ").capitalize()))


def _beside(section: Section, keys: tuple[str, ...]) -> list[Row]:
    return published_rows(published(keys, *section.beside)) if section.beside else []


def _said_once(rows: list[Row], hidden: list[str]) -> str:
    """What is the same in all rows, before the table instead of in it."""
    names = {"dataset": "data", "split": "split", "backbone": "CNN", "regions": "regions"}
    return "; ".join(f"{names[name]}: {getattr(rows[0], name)}" for name in hidden)


def page(results: dict[str, list[dict]], plots: dict[str, tuple[str, str]]) -> str:
    """The results page between its marks.

    Args:
        results: runs by file.
        plots: for each file that has one, its plot's path from the page, and its text alternative.
    """
    parts = []
    for name, runs in results.items():
        section, rows = _section(name), rows_of(runs)
        parts += [f"## {section.title}", *([section.about] if section.about else [])]
        compared = [run for run in runs if run["config"].get("baselines")]
        if compared:
            parts += [_beside_baselines(compared), _how(name, runs)]
            continue
        groups = keys_by_group(rows)
        for group, keys in groups.items():
            measured = [row for row in rows if set(keys) & set(row.values)]
            beside = _beside(section, tuple(keys))
            shown = measured + beside
            more = [key for key in GROUPS.get(group, {}) if any(key in row.values for row in beside)]
            hidden = same_everywhere(shown)
            title = [f"**{group}**"] if len(groups) > 1 else []
            said = _said_once(shown, hidden)
            parts += [" – ".join([*title, said] if said else title)] if title or said else []
            parts.append("\n".join(markdown_table(shown, [*dict.fromkeys([*keys, *more]), TIME], hidden)))
            if beside:
                sources = dict.fromkeys(line.source for line in published(tuple(keys), *section.beside))
                parts.append(f"In italics, published figures: {'; '.join(sources)}.")
        if name in plots:
            path, alt = plots[name]
            alt = alt.replace("\\", "").replace('"', "'")
            lines = [f"```{{figure}} {path}", f':alt: "{alt}"', ":class: dark-light", "", section.caption, "```"]
            parts.append("\n".join(lines))
        parts.append(_how(name, runs))
    return "\n\n".join([*parts, *_accepted(results), *_all_published()])


def _beside_baselines(runs: list[dict]) -> str:
    """Benchmarks: each piece of work beside its baselines, one line each."""
    lines = ["| work | size | ms | beside | ratio | which is | bar | reached |", "|---|---|--:|---|--:|---|---|---|"]
    for run in runs:
        work, size = escape(run["what"]), escape(f"{run['split']}, {run['backbone']}")
        for name, found in run["config"]["baselines"].items():
            reached = {True: "yes", False: "**no**", None: ""}[found["reached"]]
            cells = [work, size, number(run["metrics"]["milliseconds"]), escape(name), f"{found['ratio'][1]:.3g}"]
            lines.append(f"| {' | '.join([*cells, found['ratio_is'], found['bar'], reached])} |")
    return "\n".join(lines)


def _how(name: str, runs: list[dict]) -> str:
    """Hardware, commits, commands and seeds of a file's runs, folded away."""

    def different(key: str) -> list[str]:
        return list(dict.fromkeys(str(run[key]) for run in runs if run[key] not in ("", None)))

    about = defaultdict(dict)  # what was done, and under which names
    for run in runs:
        if isinstance(run["config"].get("about"), str):
            about[run["config"]["about"]][run["what"].partition(", beam")[0]] = None
    # a model measured with several beams, or on several data sets, was trained once
    trained = {
        (run["what"].partition(", beam")[0], run["seed"], run["seconds"], str(run["config"].get("model")))
        for run in runs
    }
    minutes = number(sum(seconds for what, _, seconds, _ in trained if what.partition(",")[0] != "all") / 60)
    count = f"{len(runs)} runs" if len(runs) > 1 else "1 run"
    seeds = f", seeds {', '.join(different('seed'))}" if different("seed") else ""
    lines = ["```{dropdown} How it was measured", f"- `results/{name}.json`: {count}, {minutes} minutes in all{seeds}"]
    lines += [f"- {escape('; '.join(names))}: {escape(text)}" for text, names in about.items()]
    lines += [f"- on {escape(hardware)}" for hardware in different("hardware")]
    lines += [f"- commit {', '.join(f'`{commit}`' for commit in different('commit'))}"]
    lines += [f"- `{command}`" for command in different("command")]
    return "\n".join([*lines, "```"])


def _accepted(results: dict[str, list[dict]]) -> list[str]:
    """The bands within which the main figures must lie."""
    lines = ["| results | figure | mean over seeds | accepted | why |", "|---|---|--:|--:|---|"]
    for band, mean in judged(results):
        label = next((keys[band.metric] for keys in GROUPS.values() if band.metric in keys), band.metric)
        cells = [f"`{band.file}`, {escape(band.what)}", label, number(mean)]
        lines.append(f"| {' | '.join([*cells, f'{band.low:g} to {band.high:g}', band.why])} |")
    if len(lines) == 2:
        return []
    about = (
        "A test asserts that these figures lie in their bands. Below one something broke; above one, look for a leak."
    )
    return ["## What is accepted", about, "\n".join(lines)]


def _all_published() -> list[str]:
    """What others published, on these and other data, with the CNN named."""
    parts = [
        "## What others published",
        "On the usual test splits. Another CNN is another pair of eyes: compare columns, not only rows.",
    ]
    for group in ("Searching", "Captions"):
        rows = published_rows(published(tuple(GROUPS[group])))
        keys = [key for key in GROUPS[group] if any(key in row.values for row in rows)]
        parts.append(f"**{group}.**\n\n" + "\n".join(markdown_table(rows, keys, ("split",))))
    parts.append("Sources: " + "; ".join(dict.fromkeys(line.source for line in PUBLISHED)) + ".")
    return parts


def readme(results: dict[str, list[dict]]) -> str:
    """The README's tables: of each experiment with a headline the best row, the paper's beside it.

    Args:
        results: runs by file.
    """
    parts = ["## Results"]
    for name, runs in results.items():
        section = _section(name)
        if not section.headline:
            continue
        rows = [row for row in rows_of(runs) if set(section.headline) & set(row.values)]
        chosen = [row for row in rows if row.what in section.keep]
        ranked = [row for row in rows if section.best in row.values]
        if ranked:
            best = (min if section.lowest else max)(ranked, key=lambda row: row.mean(section.best))
            chosen = [best, *(row for row in chosen if row is not best)]
        if not chosen:
            continue
        beside = _beside(section, section.headline)
        names = {"the paper", *(f"the paper, {row.what}" for row in chosen)}
        paper = [row for row in beside if row.what in names]
        parts.append(f"**{section.title}** ({chosen[0].split} split; {chosen[0].regions})")
        keys = [key for key in section.headline if any(key in row.values for row in chosen)]
        parts.append("\n".join(markdown_table(chosen + paper, keys, ("dataset", "split", "regions"))))
    if len(parts) == 1:
        return ""
    parts.append(
        "± is the standard deviation over seeds; in italics, published figures. All of it, with hardware, commits and "
        "commands: [results](book/results.md)."
    )
    return "\n\n".join(parts)


def replaced(path: Path, content: str) -> str:
    """The text of a file with new content between its marks.

    Raises:
        ValueError: if it has not exactly one pair of marks.
        FileNotFoundError: if it is not there.
    """
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{path} must have one line {BEGIN} and one line {END} behind it; tables go between them")
    head, rest = text.split(BEGIN)
    between = f"\n\n{content}\n\n" if content else "\n"
    return f"{head}{BEGIN}{between}{END}{rest.split(END)[1]}"


def digest_of(runs: list[dict], alt: str) -> str:
    """What a plot is made from and says, as a short hash: other versions of matplotlib draw the same in other bytes."""
    return hashlib.sha256(json.dumps([runs, alt], sort_keys=True).encode()).hexdigest()[:16]


def run(arguments: argparse.Namespace) -> None:
    """`vsa-lite report`.

    Raises:
        ValueError: with --check, naming what is out of date.
    """
    readme_path, page_path = Path(arguments.readme), Path(arguments.page)
    folder = Path(arguments.plots) if arguments.plots else page_path.parent / "images" / "results"
    results = collect(Path(arguments.results))
    stale, on_page, wanted = [], {}, set()
    for name, runs in results.items():
        picture = plot_of(name, runs)
        if picture is None:
            continue
        path, made_from = folder / f"{name}.svg", f"made from results {digest_of(runs, picture.alt)}"
        wanted.add(path)
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
        found = MADE_FROM.search(old)
        if found is None or found.group() != made_from:
            stale.append(path)
            if not arguments.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.save_svg(path, made_from)
        on_page[name] = Path(os.path.relpath(path, page_path.parent)).as_posix(), picture.alt
    for path in sorted(set(folder.glob("*.svg")) - wanted):
        stale.append(path)
        if not arguments.check:
            path.unlink()
    for path, content in ((readme_path, readme(results)), (page_path, page(results, on_page))):
        text = replaced(path, content)
        if text != path.read_text(encoding="utf-8"):
            stale.append(path)
            if not arguments.check:
                path.write_text(text, encoding="utf-8", newline="\n")
    names = ", ".join(path.name for path in stale)
    if arguments.check and stale:
        raise ValueError(f"out of date: {names}; run `vsa-lite report`")
    print(f"{len(results)} results files; {f'written: {names}' if stale else 'everything is up to date'}")
