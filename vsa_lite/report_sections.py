"""What the results page and the README say about each results file; a file without an entry here is shown plainly."""

from __future__ import annotations

from dataclasses import dataclass

from vsa_lite.report_tables import GROUPS, TIME


@dataclass(frozen=True)
class Section:
    """What is said about one results file.

    Attributes:
        title: its heading on the page.
        about: a sentence or two beneath.
        beside: data sets whose published figures stand in the same tables.
        headline: the metrics that stand in the README; none for a file that does not.
        best: the metric whose best row stands in the README, beside `keep`.
        lowest: whether the lowest is best.
        keep: names of further rows for the README.
        caption: beneath its plot, where it has one: what to look at.
    """

    title: str
    about: str = ""
    beside: tuple[str, ...] = ()
    headline: tuple[str, ...] = ()
    best: str = ""
    lowest: bool = False
    keep: tuple[str, ...] = ()
    caption: str = ""


SECTIONS = {
    "flickr8k_alignment": Section(
        "Flickr8k: pictures find sentences, sentences find pictures",
        "1,000 test photographs against their 5,000 sentences, both ways. Recall in percent, higher is better; "
        "median rank of the first right answer, lower is better.",
        ("flickr8k",),
        tuple(GROUPS["Searching"]),
        keep=("best", "best, 3 seeds together"),
        caption="Right of the dashed line of its colour, a mark beats the paper: which recipes do, and at which K?",
    ),
    "flickr8k_captions": Section(
        "Flickr8k: sentences for photographs never seen",
        "Generated word by word, never helped by the true sentence, and compared with five sentences of people. "
        "“Not in training” is the share of generated sentences that the model has not read in this form.",
        ("flickr8k",),
        ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "cider", "rouge_l"),
        keep=("rnn, beam 7",),
        caption="Dashed is the paper. Compare the three beams of each writer: does the widest always win?",
    ),
    "flickr8k_attention": Section(
        "Flickr8k: a writer that looks at regions",
        "An LSTM with attention, on photographs, and what can be added; “+ teacher” was taught where to look by the "
        "alignment. Where it looks is measured at the nouns of COCO's photographs, by their boxes, before the true "
        "words are said: none finds more than the whole picture. Minutes are of eighteen trainings sharing one GPU.",
        ("flickr8k",),
        headline=("bleu_4", "cider"),
        keep=("attention, beam 3", "+ teacher, beam 3", "+ teacher, revision, cycle, beam 3"),
    ),
    "coco_grounding": Section(
        "COCO: do words find their things in photographs?",
        "Trained on Flickr8k, tested on photographs of COCO: nouns that name one of its categories, against its boxes. "
        "A phrase is right if its region and a true box have an IoU of at least 0.5. No model here finds more than the "
        "whole picture does: things in these photographs are often large, and pointing at the centre is hard to beat.",
        headline=("grounding_iou50", "grounding_upper_bound", "grounding_baseline_whole", "grounding_baseline_random"),
        best="grounding_iou50",
        caption="Does the model pass the whole picture, which needs no model? How far is the best region there is?",
    ),
    "flickr8k_pipeline": Section(
        "Flickr8k: the whole pipeline, stage by stage",
        "From photographs to both models, each stage as a command of its own. Memory is the largest resident size. "
        "On the GPU, “evaluate captions” ended while other trainings began.",
        headline=(TIME, "peak_memory_gb"),
        keep=("all", "all, on cuda"),
        caption="Which stages take most of the time, and which of them gain most on a GPU?",
    ),
    "flickr8k_words": Section("Flickr8k: word vectors", "Learned from the sentences of the training split only."),
    "scenes_alignment": Section(
        "Scenes: do words find their things?",
        "In the drawn world the box of every phrase is known. A phrase is right if its region and a true box have an "
        "IoU of at least 0.5; the upper bound is what any choice among the regions could reach.",
        headline=("grounding_iou50", "grounding_upper_bound", "grounding_baseline_whole", "grounding_baseline_random"),
        best="grounding_iou50",
        caption="How much is left between the model and the best region there is? Compare what needs no model.",
    ),
    "scenes_captions": Section(
        "Scenes: sentences for pictures never seen",
        caption="Thin lines are the spread over seeds: is what the wider beam gains larger than that?",
    ),
    "scenes_region_captions": Section(
        "Scenes: what is said about a region",
        "The region model learned from snippets that the alignment found. It writes about the region that shows a "
        "thing best; the references are the phrases that the sentences use for that thing. The paper's own comparison, "
        "on regions of COCO, is beside it: other pictures and other references, the same question.",
        ("coco regions",),
        ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "cider"),
        "bleu_1",
        keep=("full-frame model",),
        caption="Compare the two models at each BLEU, and the dashed line: the paper's region model, on photographs.",
    ),
    "scenes_attention": Section(
        "Scenes: where does a writer look?",
        "Caption models with attention, by what is added, beside their controls. Attention on the thing: its share "
        "on regions that overlap the named thing by half, before the true words are said. Captions by beam 3.",
        headline=("cider", "attention_mass", "grounding_iou50"),
        keep=("attention", "+ teacher", "control: shuffled teacher", "taught by true boxes"),
    ),
    "scenes_regions": Section(
        "Scenes: the region CNN, pretrained against random",
        "The same fine-tuning from weights that have seen single things, and from random ones.",
        caption="Compare both starts at 100 scenes, then at 500: how much of the head start is left?",
    ),
    "benchmarks": Section(
        "How fast it is",
        "Each piece of work takes turns with its baselines within one run; ratios are medians. Where a bar is missed, "
        "`benchmarks/README.md` says why.",
    ),
    "large": Section(
        "Features that do not fit into memory",
        "The alignment trained for some steps on a store as large as COCO's training pictures make it, beside a small "
        "one.",
    ),
    "search": Section(
        "Searching many pictures",
        "Generated vectors with the statistics of a trained model's. Exact search scores every picture by eq. 8; an "
        "index scores candidates only, and recall says how many of the exact ten best it finds, in percent. Times are "
        "those of one sentence after the other, on one thread. Other work on the machine stretches the clock, not "
        "the processor's own time. Against a batch, by processor time: exact search is given all sentences at once.",
    ),
    "book": Section(
        "The book: seconds and memory of each chapter",
        "Every chapter by itself, from its first cell to its last; what it shares with others is made before, and has "
        "a line of its own.",
    ),
    "classroom": Section(
        "In class: what self-checks and grading are worth",
        "Every stored right answer and every usual mistake, given to its self-check; every mistake in an assignment, "
        "handed in by itself; and an environment of Colab's versions.",
    ),
}
