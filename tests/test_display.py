"""What notebooks show: titles, tables, and nothing that a browser takes for markup."""

from html.parser import HTMLParser

import pytest

from tilewright.display import Cell, html_facts, html_table


class Reader(HTMLParser):
    """Collects the texts of cells by tag, and checks that every tag is closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        tag, attributes = self.open[-1]
        self.texts.append((tag, data, attributes.get("style", "")))

    def of(self, *tags):
        return [text for tag, text, _ in self.texts if tag in tags]


def test_facts():
    read = Reader(html_facts("A run", {"uid": "8f3a", "events": 10, "ratio": 0.5}, note="as of now"))
    assert read.of("th") == ["uid", "events", "ratio"]
    assert read.of("td") == ["8f3a", "10", "0.5"]
    assert read.of("div") == ["A run", "as of now"]


def test_table():
    read = Reader(html_table("Runs", ("uid", "state"), [("a", Cell("waiting", "warning")), ("b", "done")]))
    assert read.of("th") == ["uid", "state"]
    assert read.of("td") == ["a", "waiting", "b", "done"]
    styles = {text: style for tag, text, style in read.texts if tag == "td"}
    assert "color:" in styles["waiting"]
    assert "color:" not in styles["done"]  # it is the theme's


def test_what_is_not_there_is_not_shown():
    assert "<table" not in html_table("None", ("uid",), [])
    assert "<table" not in html_facts("None", {})
    assert "<thead" not in html_table("No headings", ("", ""), [("a", "b")])


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "a & b", "\"x\" onload='y'", "\udc80 alone"])
def test_everything_is_escaped(text):
    shown = text.encode("utf-8", "backslashreplace").decode()
    page = html_facts(text, {text: Cell(text, "bad")}, note=text) + html_table(
        text, (text,), [(text,)], note=text
    )
    page.encode()
    assert Reader(page).of("div", "th", "td") == [shown] * 8
    assert "<script" not in page
