"""The report as files: what stands in them, what never does."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hunmin.corpus.report import write_report

Input = tuple[dict[str, Any], dict[str, Any]]
TITLE = "Real <texts> & more"


@pytest.fixture(scope="module")
def written(real_input: Input, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_report(tmp_path_factory.mktemp("report"), *real_input, title=TITLE)


@pytest.fixture(scope="module")
def folder(written: list[Path]) -> Path:
    return written[0].parent


class Outline(HTMLParser):
    """Checks that tags close in order; collects ids, links and attributes."""

    VOID = ("meta", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.samples: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.links += [str(value) for name, value in attrs if name in ("href", "src")]
        self.samples += [values] if tag == "blockquote" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


def page(folder: Path, name: str = "report.html") -> str:
    return (folder / name).read_text("utf-8")


def test_all_files_are_written_and_returned(written: list[Path], folder: Path) -> None:
    assert sorted(written) == sorted(file for file in folder.rglob("*") if file.is_file())
    plots = {path.name for path in written if path.parent.name == "plots"}
    names = [
        "flow",
        "duplicates",
        "privacy",
        "contamination",
        "languages",
        "lengths",
        "identified",
        "sources",
    ]
    assert plots == {f"{name}.{suffix}" for name in names for suffix in ("svg", "png")}


def test_same_input_gives_same_bytes(folder: Path, real_input: Input, tmp_path: Path) -> None:
    def digests(root: Path) -> dict[str, str]:
        files = (file for file in root.rglob("*") if file.is_file())
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    write_report(tmp_path, *real_input, title=TITLE)
    assert digests(tmp_path) == digests(folder)


def test_json_holds_everything(folder: Path, real_input: Input) -> None:
    content = json.loads(page(folder, "report.json"))
    assert content["format"] == 1
    assert content["title"] == TITLE
    assert (content["statistics"], content["samples"]) == real_input


def test_page_is_one_whole_file_that_fetches_nothing(folder: Path) -> None:
    text = page(folder)
    outline = Outline(text)
    assert outline.open == []
    assert len(outline.ids) == len(set(outline.ids))
    assert not {"script", "link", "img", "iframe", "object"} & set(outline.tags)
    assert outline.links
    assert all(link.startswith("#") for link in outline.links)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_contents_lead_to_every_section(folder: Path) -> None:
    outline = Outline(page(folder))
    targets = [link.removeprefix("#") for link in outline.links if link[1:] in outline.ids]
    sections = [name for name in outline.ids if name in targets]
    assert sections[:4] == ["summary", "flow", "dropped", "changed-texts"]
    assert outline.tags.count("section") == len(set(sections) & set(targets))


def test_pictures_are_inside_and_take_the_colours_of_the_page(folder: Path) -> None:
    text = page(folder)
    elements = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(elements) == 8
    for element in elements:
        ElementTree.fromstring(element)
        assert "var(--ink)" in element
        assert "<text" in element
        assert "<style" not in element
        assert not re.search("<path[^>]*#ffffff", element)


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_numbers_stand_there(folder: Path, real_input: Input, name: str) -> None:
    statistics, _ = real_input
    text = page(folder, name)
    total, read = statistics["total"], statistics["flow"][0]
    for number in (total["documents"], total["characters"], read["documents"]):
        assert f"{number:,}" in text
    for reason, count in statistics["rejects"].items():
        assert reason in text
        assert f"{count:,}" in text
    for row in [*statistics["languages"].values(), *statistics["sources"].values()]:
        assert f"{row['utf8_bytes']:,}" in text


def test_samples_have_language_direction_and_origin(folder: Path, real_input: Input) -> None:
    _, samples = real_input
    outline, text = Outline(page(folder)), page(folder)
    assert {"ko", "ar", None} <= {sample.get("lang") for sample in outline.samples}
    assert all(sample["dir"] == "auto" for sample in outline.samples)
    rejected = [sample for group in samples["rejected"].values() for sample in group]
    assert rejected
    assert all(sample["id"] in text for sample in rejected)
    assert all(f"<summary>{reason} " in text for reason in samples["rejected"])


def test_text_of_the_corpus_cannot_become_markup(tmp_path: Path, bare_input: Any) -> None:
    evil = '</blockquote><script>alert("x")</script>\n# no *title*\n\n- no | list\n1. no\n![x](y)'
    sample = {"id": '"><b>', "source": "<i>", "language": '"x', "text": evil, "note": "`c`"}
    top = [{"documents": 2, "example": "<img src=x> | _a_"}]
    lines = {"removed_characters": 1, "documents": 1, "dropped": 0, "top": top}
    samples: dict[str, Any] = {"rejected": {"<u>reason</u>": [sample]}}
    samples["changed"] = [{**sample, "before": evil, "after": evil + "<hr>"}]
    write_report(tmp_path, {**bare_input, "lines": lines}, samples, title=evil)
    outline = Outline(page(tmp_path))
    assert outline.open == []
    assert not {"script", "b", "i", "u", "img", "hr"} & set(outline.tags)
    markdown = page(tmp_path, "report.md")
    assert not re.search(r"(?<!\\)<(?!/?(mark|sub)>)", markdown)
    assert "\n> \\# no \\*title\\*" in markdown
    assert "\n> \\- no \\| list" in markdown
    assert "\n> 1\\. no" in markdown
    assert "!\\[x\\](y)" in markdown


def test_hidden_characters_are_named(tmp_path: Path, bare_input: Any) -> None:
    text = "safe\u202egnp.exe\u200b\x00end"
    samples = {"rejected": {"odd": [{"id": "1", "source": "s", "language": "en", "text": text}]}}
    write_report(tmp_path, bare_input, samples, title="t")
    assert "safe[U+202E]gnp.exe[U+200B][U+0000]end" in page(tmp_path)
    assert "\u202e" not in page(tmp_path) + page(tmp_path, "report.md")


def test_what_is_missing_is_left_out(tmp_path: Path, bare_input: Any) -> None:
    paths = write_report(tmp_path, bare_input, {}, title="t")
    assert [path.name for path in paths] == ["report.json", "report.md", "report.html"]
    titles = re.findall(r"^## (.*)$", page(tmp_path, "report.md"), re.MULTILINE)
    assert titles == ["Summary", "Dropped", "Intended use", "Citing", "Known limits"]
    assert "Nothing was dropped." in page(tmp_path)
    assert "no evaluation set was looked for" in page(tmp_path).lower()


@pytest.mark.parametrize("name", ["huge_input", "empty_input", "single_input"])
def test_extremes_are_written(tmp_path: Path, request: pytest.FixtureRequest, name: str) -> None:
    write_report(tmp_path, request.getfixturevalue(name), {}, title=name)
    assert Outline(page(tmp_path)).open == []
    assert max(file.stat().st_size for file in tmp_path.rglob("*.svg")) < 200_000


def test_without_matplotlib_the_pages_say_so(
    tmp_path: Path,
    real_input: Input,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with caplog.at_level(logging.WARNING, "hunmin"):
        paths = write_report(tmp_path, *real_input, title="t")
    assert [path.name for path in paths] == ["report.json", "report.md", "report.html"]
    assert "pip install" in caplog.text
    for name in ("report.md", "report.html"):
        assert "There are no pictures here" in page(tmp_path, name)
    assert "<figure" not in page(tmp_path)
    assert "](plots/" not in page(tmp_path, "report.md")
