"""The report: what it prints is what was measured, it changes nothing twice, and it says when it is out of date."""

import argparse
import json
import re
import shutil
import statistics
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vsa_lite import report
from vsa_lite.cli import main
from vsa_lite.published import BLEU, PUBLISHED, RANKS, published
from vsa_lite.report_plots import PLOTS, plot_of, row_names
from vsa_lite.report_sections import SECTIONS
from vsa_lite.report_tables import (
    DIGITS,
    GROUPS,
    cell,
    escape,
    keys_by_group,
    markdown_table,
    number,
    published_rows,
    rows_of,
    same_everywhere,
)
from vsa_lite.results import FIELDS

ROOT = Path(__file__).parent.parent
MARKS = f"# Title\n\nBefore.\n\n{report.BEGIN}\n{report.END}\n\nBehind.\n"


def measured(what="best", seed=0, metrics=None, **more):
    fields = {
        "what": what,
        "dataset": "flickr8k",
        "split": "test",
        "backbone": "resnet50/DEFAULT",
        "regions": "windows, best 19 and the whole picture",
        "config": {},
        "seed": seed,
        "metrics": metrics or {},
        "hardware": "a machine, 2 cores, 2 threads",
        "seconds": 120.0,
        "commit": "0123456789",
        "command": "python experiments/some.py",
    }
    assert set(fields) == set(FIELDS)
    return fields | more


def ranking(first):
    return {key: first * {"r@1": 1, "r@5": 2, "r@10": 3, "median_rank": 0.5}[key.split("_", 1)[1]] for key in RANKS}


def grounding(right):
    values = dict.fromkeys(GROUPS["Grounding"], 10.0)
    return values | {"grounding_iou50": right, "grounding_upper_bound": 90.0, "grounding_phrases": 1234.0}


def bleu(first):
    return {key: first / n for n, key in enumerate(BLEU, start=1)}


EVERYTHING = {
    "flickr8k_alignment": [
        measured(what, seed, ranking(first + seed))
        for what, first in (("printed", 12), ("best", 20))
        for seed in range(3)
    ]
    + [measured("whole", 0, ranking(15), regions="whole picture only")],
    "flickr8k_captions": [measured(f"rnn, beam {beam}", 0, bleu(50 + beam)) for beam in (1, 7)],
    "flickr8k_attention": [
        measured("attention, beam 3", 0, bleu(50) | {"attention_mass": 12.0, "million_parameters": 5.5})
    ],
    "coco_grounding": [measured("chain", seed, grounding(30 + seed), dataset="coco") for seed in range(2)],
    "flickr8k_pipeline": [
        measured(what, 0, {"minutes": 9.0, "peak_memory_gb": 1.5}) for what in ("extract", "train", "all")
    ],
    "flickr8k_words": [measured("skip-gram", 0, {"loss": 2.5, "pairs_per_second": 123456.0}, backbone="none")],
    "scenes_alignment": [measured("chain", 0, grounding(80) | ranking(30), dataset="scenes")],
    "scenes_captions": [measured("rnn, beam 1", 0, bleu(60), dataset="scenes")],
    "scenes_region_captions": [
        measured(what, 0, bleu(60), dataset="scenes") for what in ("region model", "full-frame model")
    ],
    "scenes_attention": [measured("+ teacher", 0, {"cider": 60.0, "attention_mass": 34.5}, dataset="scenes")],
    "scenes_regions": [measured("from random weights", 0, {"mean_average_precision": 50.0}, dataset="scenes")],
    "benchmarks": [measured("sorting", 0, {"milliseconds": 12.5}, backbone="none")],
    "large": [
        measured("training on 2,000 pictures", 0, {"steps_a_second": 7.5, "store_gb": 0.25}, dataset="generated")
    ],
    "search": [
        measured("codewords", 0, {"recall_at_10": 99.0, "median_ms": 12.0}, dataset="scenes", split="generated")
    ],
    "book": [measured("06_scores", 0, {"seconds": 30.0, "peak_memory_gb": 0.9}, dataset="scenes", backbone="none")],
    "classroom": [measured("words: check_brnn", 0, {"mistakes": 12, "mistakes_rejected": 12}, backbone="none")],
    "something_new": [measured("a | b *c* _d_", None, {"odd_thing": 0.25}, config={"about": "why <so>"})],
}


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A repository with results of every kind, and its report."""
    place = fill(tmp_path_factory.mktemp("reported"))
    report.run(options(place))
    return place


@pytest.fixture
def done(reported, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(reported, tmp_path / "done")


@pytest.fixture
def place(tmp_path):
    """A repository with results of every kind, without a report."""
    return fill(tmp_path)


def fill(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "book").mkdir()
    for name, runs in EVERYTHING.items():
        (tmp_path / "results" / f"{name}.json").write_text(json.dumps(runs))
    for path in (tmp_path / "README.md", tmp_path / "book" / "results.md"):
        path.write_text(MARKS)
    return tmp_path


def options(place, check=False):
    folder, files = str(place / "results"), (str(place / "README.md"), str(place / "book" / "results.md"))
    return argparse.Namespace(results=folder, readme=files[0], page=files[1], plots=None, check=check)


def tables(text):
    """Every table as rows of cells."""
    found, last = [], False
    for line in text.splitlines():
        if line.startswith("|"):
            if not last:
                found.append([])
            found[-1].append([part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]])
        last = line.startswith("|")
    return found


def all_files(place):
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_seeds_become_a_mean_and_a_spread():
    values = [12.25, 13.5, 11.0]
    runs = [measured("best", seed, {"sentence_r@1": value}) for seed, value in enumerate(values)]
    runs += [
        measured("best", 0, {"sentence_r@1": 9.0}, regions="whole picture only"),
        measured("other", 0, {"cider": 5.0}),
    ]
    rows = rows_of(runs)
    assert [(row.what, len(row.values["minutes"])) for row in rows] == [("best", 3), ("best", 1), ("other", 1)]
    assert rows[0].mean("sentence_r@1") == pytest.approx(sum(values) / 3)
    spread = (sum((value - sum(values) / 3) ** 2 for value in values) / 2) ** 0.5
    assert cell(rows[0].values["sentence_r@1"]) == f"{sum(values) / 3:.1f} ± {spread:.1f}"
    assert statistics.stdev(values) == pytest.approx(spread)
    assert rows[0].values["minutes"] == [2.0] * 3
    assert row_names(rows) == ["best\nwindows, best 19 and the whole picture", "best\nwhole picture only", "other"]
    assert same_everywhere(rows) == ["dataset", "split", "backbone"]
    assert keys_by_group(rows) == {"Searching": ["sentence_r@1"], "Captions": ["cider"]}


def test_minutes_of_a_run_count_before_its_seconds():
    (row,) = rows_of([measured("best", 0, {"minutes": 7.5})])
    assert row.values == {"minutes": [7.5]}


def test_a_training_that_was_measured_more_than_once_counts_once():
    names = ("best, beam 1", "best, beam 3", "best", "other")  # two minutes each
    text = report.page({"some": [measured(what, seed, {"bleu_4": 1.0}) for what in names for seed in (0, 1)]}, {})
    assert "8 runs, 8.0 minutes in all" in text


def test_small_numbers_that_count_are_not_rounded_away():
    (row,) = rows_of([measured("best", seed, {"gamma": value}) for seed, value in enumerate((-0.02, -0.04))])
    assert "| -0.030 ± 0.014 |" in markdown_table([row], ["gamma"])[-1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.04, "0.0"),
        (12.25, "12.2"),
        (-3.0, "-3.0"),
        (412.0, "412"),
        (412.5, "412.5"),
        (1234.5, "1,234"),
        (1e6, "1,000,000"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_a_cell_without_or_with_equal_values():
    assert (cell(None), cell([]), cell([3.0]), cell([3.0, 3.0])) == ("–", "–", "3.0", "3.0")


def test_names_cannot_break_a_table():
    rows = rows_of(
        [measured("a | b *c* `d` [e](f) <b> $x$ ~~y~~", 0, {"cider": 1.0}), measured("plain", 0, {"cider": 2.0})]
    )
    lines = markdown_table(rows, ["cider", "bleu_1"], ["dataset", "split"])
    (table,) = tables("\n".join(lines))
    assert {len(row) for row in table} == {len(table[0])} == {5}
    assert table[0] == ["", "CIDEr", "BLEU-1", "CNN", "regions"]
    assert table[2][1:3] == ["1.0", "–"]
    from docutils import nodes
    from docutils.core import publish_doctree

    parser = pytest.importorskip("myst_parser.docutils_").Parser
    tree = publish_doctree("\n".join(lines), parser=parser(), settings_overrides={"report_level": 5})
    assert "a | b *c* `d` [e](f) <b> $x$ ~~y~~" in [entry.astext() for entry in tree.findall(nodes.entry)]
    assert escape("plain, text: 1 %") == "plain, text: 1 %"


def test_published_figures_are_of_one_piece():
    assert len({(line.system, line.dataset, tuple(line.metrics)) for line in PUBLISHED}) == len(PUBLISHED)
    for line in PUBLISHED:
        assert all((line.backbone, line.regions, line.source, line.metrics)), line.system
        assert set(line.metrics) <= {key for group in GROUPS.values() for key in group}
        for item in ("sentence", "image"):
            recalls = [line.metrics[f"{item}_r@{k}"] for k in (1, 5, 10) if f"{item}_r@{k}" in line.metrics]
            assert recalls == sorted(recalls), line.system
        scores = [line.metrics[key] for key in BLEU if key in line.metrics]
        assert scores == sorted(scores, reverse=True), line.system
    assert [line.system for line in published(RANKS, "flickr8k")] == ["the paper", "Deep Fragments"]
    (paper,) = (row for row in published_rows(published(BLEU, "flickr8k")) if row.what == "the paper")
    assert [paper.values[key] for key in BLEU] == [[57.9], [38.3], [24.5], [16.0]]


def test_the_page_has_every_measured_number(reported):
    page = (reported / "book" / "results.md").read_text()
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert headings == [
        *(SECTIONS[name].title for name in SECTIONS),
        "Something new",
        "What is accepted",
        "What others published",
    ]
    for name, runs in EVERYTHING.items():
        part = page.split(f"## {report._section(name).title}\n")[1].split("\n## ")[0]
        rows = rows_of(runs)
        printed = tables(part)
        assert all({len(row) for row in table} == {len(table[0])} for table in printed), name
        cells = [row for table in printed for row in table]
        for row in rows:
            for key, values in row.values.items():
                printed_as = cell(values, DIGITS.get(key, 1))
                assert any(escape(row.what) == line[0] and printed_as in line for line in cells), (
                    name,
                    row.what,
                    key,
                )
        for run in runs:
            assert run["hardware"] in part
            assert f"`{run['command']}`" in part
            assert f"`{run['commit']}`" in part
    assert "*the paper*" in page
    assert "R-CNN (AlexNet)" in page
    assert "why \\<so\\>" in page
    assert "9 seeds" not in page


def test_the_readme_has_the_best_and_the_paper(reported):
    text = (reported / "README.md").read_text()
    first, second = tables(text)[:2]
    assert [row[0] for row in first[2:]] == ["best", "*the paper*"]
    assert first[2][1] == "21.0 ± 1.0"
    assert [row[0] for row in second[2:]] == ["rnn, beam 7", "*the paper*"]
    assert second[3][1:5] == ["57.9", "38.3", "24.5", "16.0"]
    assert all("CNN" in table[0] for table in tables(text))
    assert "Something new" not in text


def test_it_says_what_is_out_of_date_and_changes_nothing_twice(place, capsys):
    with pytest.raises(ValueError, match=r"^out of date: .*README.md, results.md; run `vsa-lite report`$"):
        report.run(options(place, check=True))
    assert (place / "README.md").read_text() == MARKS
    assert not (place / "book" / "images").exists()
    report.run(options(place))
    report.run(options(place, check=True))
    before = all_files(place)
    report.run(options(place))
    assert all_files(place) == before
    assert capsys.readouterr().out.endswith("everything is up to date\n")
    for path in (place / "README.md", place / "book" / "results.md"):
        text = path.read_text()
        assert text.startswith(f"# Title\n\nBefore.\n\n{report.BEGIN}\n\n")
        assert text.endswith(f"\n\n{report.END}\n\nBehind.\n")


def change_result(place):
    path = place / "results" / "flickr8k_captions.json"
    runs = json.loads(path.read_text())
    runs[0]["metrics"]["bleu_1"] += 1
    path.write_text(json.dumps(runs))


def remove_result(place):
    (place / "results" / "scenes_regions.json").unlink()


def edit_by_hand(place):
    path = place / "README.md"
    path.write_text(path.read_text().replace("21.0 ± 1.0", "31.0 ± 1.0"))


def remove_plot(place):
    (place / "book" / "images" / "results" / "scenes_alignment.svg").unlink()


def old_plot(place):
    (place / "book" / "images" / "results" / "forgotten.svg").write_text("<svg/>")


@pytest.mark.parametrize("change", [change_result, remove_result, edit_by_hand, remove_plot, old_plot])
def test_every_change_is_noticed_and_mended(done, change):
    place = done
    change(place)
    with pytest.raises(ValueError, match="out of date"):
        report.run(options(place, check=True))
    report.run(options(place))
    report.run(options(place, check=True))
    assert not (place / "book" / "images" / "results" / "forgotten.svg").exists()


def test_without_a_result_there_is_nothing_but_what_others_published(place):
    for path in (place / "results").iterdir():
        path.write_text("[]")
    report.run(options(place))
    assert (place / "README.md").read_text() == MARKS
    assert re.findall(r"^## (.+)$", (place / "book" / "results.md").read_text(), re.MULTILINE) == [
        "What others published"
    ]


def test_a_file_may_lack_every_metric_that_its_plot_wants(place):
    for name in PLOTS:
        (place / "results" / f"{name}.json").write_text(json.dumps([measured("odd", 0, {"other": 1.0})]))
    report.run(options(place))
    assert not (place / "book" / "images").exists()
    assert "| odd |" in (place / "book" / "results.md").read_text()


@pytest.mark.parametrize("name", PLOTS)
def test_plots_are_drawings_that_say_their_numbers(name, tmp_path):
    picture = plot_of(name, EVERYTHING[name])
    paths = [tmp_path / f"{number}.svg" for number in range(2)]
    for path, one in zip(paths, (picture, plot_of(name, EVERYTHING[name])), strict=True):
        one.save_svg(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    root = ElementTree.fromstring(paths[0].read_text())
    assert root.tag.endswith("svg")
    # black would vanish on a dark page, white on a light one
    assert not re.search(r"(fill|stroke): (#000000|black)", paths[0].read_text())
    rows = [row for row in rows_of(EVERYTHING[name]) if row.what != "all"]
    assert all(row.what in picture.alt for row in rows)
    assert re.search(r"\d\.\d", picture.alt)


def test_every_plot_has_a_caption_of_its_own(reported):
    captions = [SECTIONS[name].caption for name in PLOTS]
    assert len(set(captions)) == len(captions)
    page = (reported / "book" / "results.md").read_text()
    for caption in captions:
        assert caption.endswith((".", "?"))
        assert 20 <= len(caption) <= 140, caption
        assert f"\n:class: dark-light\n\n{caption}\n```" in page


def test_plots_show_what_was_measured():
    ax = plot_of("scenes_regions", EVERYTHING["scenes_regions"]).axes[0]
    assert [bar.get_width() for bar in ax.patches] == [50.0]
    left, right = plot_of("flickr8k_alignment", EVERYTHING["flickr8k_alignment"]).axes
    shown = {tuple(line.get_xdata()) for line in left.lines if len(line.get_xdata()) == 3}
    assert shown == {(13.0, 21.0, 15.0), (26.0, 42.0, 30.0), (39.0, 63.0, 45.0)}
    assert {16.5, 40.6, 54.2} <= {line.get_xdata()[0] for line in left.lines}
    assert {11.8, 32.1, 44.7} <= {line.get_xdata()[0] for line in right.lines}
    ax = plot_of("coco_grounding", EVERYTHING["coco_grounding"]).axes[0]
    assert [30.5] in [list(line.get_xdata()) for line in ax.lines]
    assert [90.0] in [list(line.get_xdata()) for line in ax.lines]


@pytest.mark.parametrize("text", ["no marks", f"{report.BEGIN}\n", f"{report.END}\n{report.BEGIN}\n", MARKS + MARKS])
def test_a_file_without_its_marks_is_named(place, text):
    (place / "README.md").write_text(text)
    with pytest.raises(ValueError, match=r"README.md must have one line <!-- results:begin -->"):
        report.run(options(place))


def test_errors_of_the_command(place, capsys):
    files = ["--readme", str(place / "README.md"), "--page", str(place / "book" / "results.md")]
    (place / "results" / "scenes_regions.json").write_text("[{")
    assert main(["report", "--results", str(place / "results"), *files]) == 1
    assert "scenes_regions.json is no JSON" in capsys.readouterr().err
    (place / "results" / "scenes_regions.json").unlink()
    assert main(["report", "--results", str(place / "results"), *files, "--check"]) == 1
    assert "out of date" in capsys.readouterr().err
    assert main(["report", "--results", str(place / "results"), *files]) == 0
    (place / "README.md").unlink()
    assert main(["report", "--results", str(place / "results"), *files]) == 1
    assert "README.md" in capsys.readouterr().err


def test_readme_and_page_of_this_repository_are_up_to_date():
    report.run(options(ROOT, check=True))


def test_a_benchmark_stands_beside_its_baselines():
    found = {"ratio": [0.9, 1.234, 2.0], "ratio_is": "baseline / ours", "bar": "at least 5", "reached": False}
    run = measured("sorting", metrics={"milliseconds": 12.5}, config={"baselines": {"a loop": found}})
    page = report.page({"benchmarks": [run]}, {})
    assert "| a loop | 1.23 | baseline / ours | at least 5 | **no** |" in page
    assert "12.5" in page
