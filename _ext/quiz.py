"""The directive `quiz`: questions whose answers open and say why; plain HTML, without a script or a kernel.

In the directive's body questions are apart by an empty line. The first line asks; each further line is an answer,
"+ " for the right one and "- " for the others, with its reason behind " :: ".
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ANSWER = re.compile(r"([+-]) (.+?) :: (.+)")


def questions(lines: list[str]) -> list[tuple[str, list[tuple[bool, str, str]]]]:
    """What is asked, and the answers of each: whether it is right, the answer, the reason.

    Raises:
        ValueError: for a line that is no answer, or a question without exactly one right answer and a wrong one.
    """
    found = []
    for block in "\n".join(lines).strip().split("\n\n"):
        asked, *rest = block.split("\n")
        answers = []
        for line in rest:
            parts = ANSWER.fullmatch(line.strip())
            if parts is None:
                raise ValueError(f"an answer begins with '+ ' or '- ' and has its reason behind ' :: '; got {line!r}")
            answers.append((parts[1] == "+", parts[2], parts[3]))
        if sum(right for right, *_ in answers) != 1 or len(answers) < 2:
            raise ValueError(f"a question has one right answer and wrong ones: {asked!r}")
        found.append((asked, answers))
    return found


class Quiz(SphinxDirective):
    """Questions with answers to open."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            asked = questions(list(self.content))
        except ValueError as error:
            raise self.error(str(error)) from error
        out: list[nodes.Node] = [nodes.raw("", '<ol class="vsa-quiz">', format="html")]
        for question, answers in asked:
            name = f"quiz-{self.env.new_serialno('quiz')}"
            out += [nodes.raw("", "<li>", format="html"), self._line(question)]
            for right, answer, reason in answers:
                kind, verdict = ("right", "Right.") if right else ("wrong", "No.")
                out.append(nodes.raw("", f'<details name="{name}" class="vsa-{kind}"><summary>', format="html"))
                out += self._line(answer).children
                out.append(nodes.raw("", f"</summary><p><strong>{verdict}</strong> ", format="html"))
                out += self._line(reason).children
                out.append(nodes.raw("", "</p></details>", format="html"))
            out.append(nodes.raw("", "</li>", format="html"))
        return [*out, nodes.raw("", "</ol>", format="html")]

    def _line(self, text: str) -> nodes.paragraph:
        inline, messages = self.state.inline_text(text, self.lineno)
        return nodes.paragraph(text, "", *inline, *messages)


def setup(app) -> dict:
    app.add_directive("quiz", Quiz)
    return {"version": "1", "parallel_read_safe": True}
