"""What tests of pages share: a parser that checks, and a hostile name."""

from html.parser import HTMLParser
from pathlib import Path

HOSTILE = "</script><script>alert(1)</script><b x='\"&amp;"
VOID = {"meta", "img", "br"}
MOST_BYTES = 1_500_000


class Parsed(HTMLParser):
    """A page's elements and text; every element has to be closed, and nothing is fetched."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        for _, attributes in self.elements:
            assert all(
                attributes[name].startswith("data:image/png;base64,")
                for name in ("src", "href")
                if name in attributes
            )
            assert not any(name.startswith("on") for name in attributes)
        scripts = [attributes for tag, attributes in self.elements if tag == "script"]
        assert scripts == [{"type": "application/json", "id": "runs"}]

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append((self.open[-1], data))

    @property
    def text(self):
        return " ".join("".join(data for _, data in self.texts).split())

    def of(self, tag, kind=None):
        return [
            attributes
            for found, attributes in self.elements
            if found == tag and (kind is None or kind in attributes.get("class", "").split())
        ]

    @property
    def is_live(self):
        return any(meta.get("http-equiv") == "refresh" for meta in self.of("meta"))


def parsed(path):
    content = Path(path).read_bytes()
    assert len(content) < MOST_BYTES
    return Parsed(content.decode())
