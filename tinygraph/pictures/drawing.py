"""A folded picture with what its boxes, frames, edges and legend are made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from tinygraph.pictures.facts import Fact
from tinygraph.pictures.labels import dtype_of, kind_of, title_of
from tinygraph.pictures.model import BACKWARD, Picture, Scope
from tinygraph.pictures.style import LEGEND, Theme

Ends = dict[int, set[int]]
"""Items by the folded boxes that their values go in or out of."""


class Drawing:
    """A picture, the order of its boxes, and who is in which.

    `usual` is the dtype of most values that are drawn, which edges do not mention.
    """

    def __init__(
        self, picture: Picture, order: list[int], theme: Theme, facts: Sequence[Fact]
    ) -> None:
        self.picture = picture
        self.order = order
        self.theme = theme
        self.facts = facts
        self.boxes: list[int] = picture.boxes.tolist()
        self.members: defaultdict[int, list[int]] = defaultdict(list)
        for item, box in enumerate(self.boxes):
            self.members[box].append(item)
        self.outputs = {self.boxes[item] for item in picture.outputs}
        dtypes = Counter(filter(None, (dtype_of(picture.items[box]) for box in order)))
        self.usual = dtypes.most_common(1)[0][0] if dtypes else None
        self.has_other_dtypes = len(dtypes) > 1
        self.enters, self.leaves = ends_of_folded(self)
        self.looks = {box: look_of(self, box) for box in order}

    def kind_of(self, box: int) -> str:
        """Tell what a box is."""
        return "folded" if box in self.picture.folded else kind_of(self.picture.items[box])

    def title_of(self, item: int) -> str:
        """Name an item, as this picture does."""
        return self.picture.names.get(item) or title_of(self.picture.items[item])

    def scope_of(self, box: int) -> Scope:
        """Give the scope whose frame a box stands in."""
        folded = self.picture.folded
        return folded[box][:-1] if box in folded else self.picture.scopes[box]

    def name_of(self, scope: Scope) -> tuple[str, str]:
        """Give the name of a scope, of the first and last of copies, and how many there are."""
        names = self.picture.repeats.get(scope)
        if names is None:
            return scope[-1], ""
        return between(names), f"×{len(names)}"  # noqa: RUF001


def look_of(drawing: Drawing, box: int) -> str:
    """Name the look of a box: by its mark, else by what it is."""
    picture, kind = drawing.picture, drawing.kind_of(box)
    marks = {picture.marks.get(item) for item in drawing.members[box]}
    mark = next((mark for mark in LEGEND if mark in marks), None)
    if mark is not None and (mark != BACKWARD or kind != "folded"):
        return mark
    if picture.compares:
        return "kept"
    return "output" if box in drawing.outputs and kind in ("op", "folded") else kind


def ends_of_folded(drawing: Drawing) -> tuple[Ends, Ends]:
    """Give the items whose values go into folded boxes, and those whose values come out."""
    picture, boxes = drawing.picture, drawing.boxes
    enters: Ends = {box: set() for box in picture.folded}
    leaves: Ends = {box: set() for box in picture.folded}
    for tail, head in picture.edges.tolist() if picture.folded else []:
        if boxes[tail] != boxes[head]:
            enters.get(boxes[head], set()).add(tail)
            leaves.get(boxes[tail], set()).add(tail)
    for item in picture.outputs:
        leaves.get(boxes[item], set()).add(item)
    return enters, leaves


def between(names: Sequence[str]) -> str:
    """Write several names as the first and the last."""
    return names[0] if names[0] == names[-1] else f"{names[0]} … {names[-1]}"
