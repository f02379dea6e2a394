"""A comparison from folders to report: numbers, files, layout, errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.support.analysers import MiddleAnalyser
from tests.support.documents import document, write_documents
from tests.support.texts import SENTENCES
from tests.unit.tokenizer.compare.conftest import (
    TEXT,
    byte_bpe,
    char_bpe,
    subject,
    unigram,
    wordpiece,
)
from tokenizers import Tokenizer

from hunmin.cli.main import run_cli
from hunmin.core.artifact import Artifact, load_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    EmptyCorpusError,
    InputError,
    MissingInputError,
)
from hunmin.tokenizer.compare.compare import compare_tokenizers, write_comparison
from hunmin.tokenizer.compare.library import LibrarySubject
from hunmin.tokenizer.compare.load import find_baseline, load_subject, name_paths
from hunmin.tokenizer.compare.plots import frontier, mark
from hunmin.tokenizer.compare.references import analyse_texts, read_reference
from hunmin.tokenizer.compare.results import Comparison
from hunmin.tokenizer.compare.speed import measure_speeds
from hunmin.tokenizer.compare.texts import Texts, read_texts
from hunmin.tokenizer.compare.view import (
    cut_sentences,
    plain_lines,
    sentences_html,
    sentences_svg,
    terminal_lines,
)

Write = Callable[[str, Tokenizer], Path]
KOREAN = Texts([TEXT, *SENTENCES["ko"]], ["ko"] * 3, ["a", "b", "b"])


@pytest.fixture
def comparison(morphemic: LibrarySubject, greedy: LibrarySubject, gold_file: Path) -> Comparison:
    return compare_tokenizers(
        [greedy, morphemic], KOREAN, [read_reference(gold_file)], baseline="greedy", rounds=1
    )


def test_numbers_of_a_comparison(comparison: Comparison) -> None:
    greedy, morphemic = comparison.tokenizers
    assert greedy.overall is not None
    assert morphemic.overall is not None
    assert greedy.overall.relative_tokens == 1
    ratio = morphemic.overall.num_tokens / greedy.overall.num_tokens
    assert morphemic.overall.relative_tokens == ratio
    assert morphemic.by_source["a"].relative_tokens == 7 / 4
    assert set(morphemic.by_language) == {"ko"}
    assert morphemic.boundaries["words"].recall.value == 1
    assert greedy.boundaries["words"].recall.value == 0.25
    assert comparison.references[0].is_word_list
    assert comparison.references[0].boundaries_by_kind == {"unlabelled": 4}
    assert set(greedy.speed) == {"tokenizers"}
    assert greedy.speed["tokenizers"].ratio == 1


def test_the_report_is_whole(comparison: Comparison, tmp_path: Path) -> None:
    artifact = write_comparison(comparison, tmp_path / "report", recipe={"asked": "x"})
    assert load_artifact(artifact.path, "report").facts["tokenizers"] == ["greedy", "morphemic"]
    for name in ("frontier", "densities"):
        for suffix in (".png", ".svg"):
            assert (artifact.path / f"{name}{suffix}").stat().st_size > 2000
    markdown = (artifact.path / "report.md").read_text(encoding="utf-8")
    assert "![frontier](frontier.svg)" in markdown
    assert "Each word is encoded after a space" in markdown
    assert "(sentences.svg)" in markdown
    read = Comparison.model_validate_json((artifact.path / "report.json").read_bytes())
    assert read == comparison
    assert read.of("greedy").vocab_size == greedy_size(comparison)


def greedy_size(comparison: Comparison) -> int:
    return comparison.tokenizers[0].vocab_size


def test_equal_numbers_give_equal_files(comparison: Comparison, tmp_path: Path) -> None:
    first, second = (write_comparison(comparison, tmp_path / name) for name in ("a", "b"))
    for file in ("frontier.svg", "densities.png", "report.md", "sentences.svg"):
        assert (first.path / file).read_bytes() == (second.path / file).read_bytes()


def test_every_field_of_the_report_says_what_it_is() -> None:
    schema = Comparison.model_json_schema()
    for definition in [schema, *schema["$defs"].values()]:
        assert all("description" in value for value in definition["properties"].values())


def test_kinds_are_drawn_where_the_reference_tells_them(
    morphemic: LibrarySubject, greedy: LibrarySubject, tmp_path: Path
) -> None:
    gold = tmp_path / "gold.conllu"
    columns = ["밥을", "밥+을", "_", "NNG+JKO", "_", "0", "_", "_", "_"]
    other = ["먹었습니다", "먹+었+습니다", "_", "VV+EP+EF", "_", "0", "_", "_", "_"]
    rows = [f"{i}\t" + "\t".join(row) for i, row in enumerate((columns, other), start=1)]
    gold.write_text("# text = 밥을 먹었습니다\n" + "\n".join(rows) + "\n\n", encoding="utf-8")
    reference = read_reference(gold, "mine")
    found = compare_tokenizers([greedy, morphemic], Texts(), [reference], baseline="greedy")
    assert found.of("morphemic").boundaries["mine"].recall_by_kind == {"particle": 1, "ending": 1}
    artifact = write_comparison(found, tmp_path / "report")
    assert (artifact.path / "kinds.png").stat().st_size > 2000
    assert not (artifact.path / "frontier.png").exists()
    assert found.of("greedy").overall is None


def test_any_folder_with_a_tokenizer_can_be_compared(
    write: Write, tokenizer_artifact: Artifact
) -> None:
    folders = [
        write("bytes", byte_bpe("저는")),
        write("chars", char_bpe("▁저는밥을먹었습니다")),
        write("fallback", char_bpe("▁저는", fallback=True)),
        write("unigram", unigram(("▁", -1.0), ("저는", -1.0))),
        write("wordpiece", wordpiece("저는", "밥을")),
        Path(tokenizer_artifact.path),
    ]
    subjects = [load_subject(folder) for folder in folders]
    kinds = [each.kind for each in subjects]
    assert kinds[:2] == ["BPE, byte-level", "BPE, Metaspace"]
    assert kinds[2:5] == ["BPE, Metaspace, byte fallback", "Unigram, Metaspace", "WordPiece"]
    assert set(subjects[-1].engines) == {"tokenizers", "bulk"}
    assert len({each.digest for each in subjects}) == len(subjects)
    for each in subjects:
        tokens = each.encode([TEXT, "", "저는"])
        assert tokens.offsets[-1] == len(tokens.ids)
        assert (tokens.starts <= tokens.ends).all()


class HalfCutter:
    """Cuts every text in the middle."""

    identity = "half"

    def cut(self, texts: list[str]) -> list[list[str]]:
        halves = [(text[: len(text) // 2], text[len(text) // 2 :]) for text in texts]
        return [[part for part in pair if part] for pair in halves]


def test_a_tokenizer_that_cuts_before_encoding() -> None:
    cut = LibrarySubject("cut", byte_bpe("저는", "밥을").to_str(), cutter=HalfCutter())
    tokens = cut.encode(["저는밥을", "", "저는", "밥을밥을"])
    assert tokens.offsets.tolist() == [0, 2, 2, 6, 8]
    assert tokens.starts[:2].tolist() == [0, 2]
    assert tokens.ends[-2:].tolist() == [2, 4]
    assert tokens.starts[2:6].tolist() == [0, 1, 1, 1]
    assert cut.decode(tokens.ids_of_texts()) == ["저는밥을", "", "저는", "밥을밥을"]
    assert cut.digest != LibrarySubject("cut", byte_bpe("저는", "밥을").to_str()).digest


def test_folders_that_are_no_tokenizers(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such tokenizer folder"):
        load_subject(tmp_path / "nowhere")
    with pytest.raises(ArtifactKindError, match=r"no tokenizer\.json"):
        load_subject(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match="cannot be read"):
        load_subject(tmp_path)


def test_names() -> None:
    found = name_paths(["runs/a/tokenizer", "runs/b/tokenizer", "mine=runs/c", "gpt2/"])
    assert [pair.name for pair in found] == ["a/tokenizer", "b/tokenizer", "mine", "gpt2"]
    with pytest.raises(InputError, match="one name") as caught:
        name_paths(["x=a", "x=b"])
    assert "first=FOLDER" in str(caught.value)
    assert find_baseline(None, ["a", "b"]) == "a"
    with pytest.raises(InputError, match=r"Did you mean 'byte-bpe'\?"):
        find_baseline("byte-bpi", ["a", "byte-bpe"])


def test_texts_of_files_and_artifacts(tmp_path: Path, text_file: Path) -> None:
    rows = [document(f"문서 {number}", "ko", "wiki") for number in range(3)]
    write_documents(tmp_path / "corpus", {"train": rows[:2], "validation": rows[2:]})
    found = read_texts([f"ko={text_file}", str(tmp_path / "corpus")])
    # Of an artifact only what is held out.
    assert len(found.texts) == 10
    assert set(found.languages) == {"ko"}
    assert {name: int(flags.sum()) for name, flags in found.by_source().items()} == {
        "lines": 9,
        "wiki": 1,
    }
    assert set(read_texts([str(text_file)]).languages) == {"und"}
    assert len(read_texts([str(text_file)], max_bytes=60).texts) == 1


def test_texts_that_cannot_be_used(tmp_path: Path, text_file: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_texts([f"klingonisch={text_file}"])
    assert "--texts" in str(caught.value)
    (tmp_path / "empty.txt").write_text("\n\n", encoding="utf-8")
    with pytest.raises(EmptyCorpusError, match="no text to compare on"):
        read_texts([str(tmp_path / "empty.txt")])
    with pytest.raises(MissingInputError):
        read_texts([str(tmp_path / "nowhere.txt")])


def test_nothing_to_compare_on(greedy: LibrarySubject) -> None:
    with pytest.raises(InputError, match="nothing to compare on"):
        compare_tokenizers([greedy], Texts(), baseline="greedy")


def test_the_path_of_a_table_may_hold_an_equals_sign(tmp_path: Path) -> None:
    table = tmp_path / "a=1.tsv"
    table.write_text("walked\twalk @@ed\n", encoding="utf-8")
    texts = Texts(["he walked"], ["en"], ["a"])
    for written in (f"table:{table}", f"en=table:{table}"):
        (reference,) = analyse_texts(written, texts)
        assert reference.texts[0].boundaries.positions == (7,)


def test_an_analyser_as_reference(monkeypatch: pytest.MonkeyPatch, greedy: LibrarySubject) -> None:
    monkeypatch.setattr(
        "hunmin.tokenizer.compare.references.load_analyser", lambda *_, **__: MiddleAnalyser()
    )
    mixed = Texts([TEXT, "All human beings"], ["ko", "en"], ["a", "b"])
    references = analyse_texts("ko=morfessor", mixed)
    assert [reference.name for reference in references] == ["morfessor on a"]
    (text,) = references[0].texts
    # The middle, 5, lies beside a space: judged are places between two syllables only.
    assert (text.judged, text.boundaries.positions) == ((1, 4, 7, 8, 9, 10), ())
    assert not references[0].is_human
    both = analyse_texts("morfessor", Texts(["밥을먹었다", "abcd"], ["en", "en"], ["a", "b"]))
    assert [reference.texts[0].boundaries.positions for reference in both] == [(2,), (2,)]


def test_analysers_that_cannot_be_used() -> None:
    with pytest.raises(InputError, match="no text that this analyser"):
        analyse_texts("kiwi", Texts(["abc"], ["en"], ["a"]))
    with pytest.raises(InputError, match="no such analyser"):
        analyse_texts("kiwwi", KOREAN)


def test_speed_takes_turns_and_refers_to_the_baseline(greedy: LibrarySubject) -> None:
    slow = subject(byte_bpe(), "slow")
    found = measure_speeds([greedy, slow], KOREAN.texts * 50, baseline="greedy", rounds=2)
    assert found["greedy"]["tokenizers"].ratio == 1
    assert found["slow"]["tokenizers"].megabytes_per_cpu_second > 0
    assert found["slow"]["tokenizers"].ratio is not None


def test_sentences_side_by_side(morphemic: LibrarySubject, greedy: LibrarySubject) -> None:
    unknown = subject(char_bpe("▁밥을"), "unknown")
    torn = subject(byte_bpe(), "bytes")
    (sentence,) = cut_sentences([morphemic, greedy, unknown, torn], ["밥을 먹었습니다\x07"])
    lines = plain_lines(sentence)
    assert lines[0] == "morphemic  밥×3|을| 먹|었|습니다|<U+0007>"
    assert lines[1] == "greedy     밥×3|을×3| 먹었|습니다|<U+0007>"
    assert "×" not in lines[2]
    assert lines[3].startswith("bytes      밥×3|을×3| |먹×3")
    coloured = terminal_lines(sentence)
    assert coloured[0].plain.endswith("  8")
    assert any("#F3B3A6" in str(span.style) for span in coloured[2].spans)
    html, svg = sentences_html([sentence]), sentences_svg([sentence])
    assert "습니다" in html
    assert "습니다" in svg
    assert "<script" not in html


def test_gaps_between_tokens_are_shown() -> None:
    (sentence,) = cut_sentences([subject(wordpiece("밥", "##을", "저"), "wp")], ["밥을  저 "])
    assert plain_lines(sentence) == ["wp  밥|을  저 "]


def test_many_tokenizers_have_marks_of_their_own() -> None:
    marks = {(style["marker"], style["color"]) for style in map(mark, range(28))}
    assert len(marks) == 28


def test_the_best_points() -> None:
    points = [(1.0, 0.3), (1.1, 0.9), (1.2, 0.8), (1.0, 0.4), (1.3, 0.95)]
    assert frontier(points) == [(1.0, 0.4), (1.1, 0.9), (1.3, 0.95)]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_cli(["tokenizer", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command(
    write: Write,
    text_file: Path,
    gold_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folders = [str(write("plain", byte_bpe("저는"))), f"wp={write('x', wordpiece('저는'))}"]
    sources = ["--texts", f"ko={text_file}", "--gold", f"mine={gold_file}", "--rounds", "1"]
    output = tmp_path / "report"
    code, out, _ = run(capsys, "compare", *folders, *sources, "--output", str(output))
    assert code == 0
    assert "tokens/word" in out
    assert "mine" in out
    assert str(output / "report.md") in out
    assert (output / "frontier.svg").is_file()
    code, out, _ = run(capsys, "compare", *folders, *sources, "--json", "--baseline", "wp")
    assert code == 0
    numbers: dict[str, Any] = json.loads(out)
    assert numbers["baseline"] == "wp"
    assert [entry["name"] for entry in numbers["tokenizers"]] == ["plain", "wp"]


def test_errors_of_the_command(
    write: Write, text_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(write("plain", byte_bpe()))
    for arguments, expected in (
        (["compare", str(tmp_path), "--texts", str(text_file)], "no tokenizer.json"),
        (["compare", folder], "nothing to compare on"),
        (["compare", folder, "--texts", str(text_file), "--baseline", "x"], "--baseline"),
        (["compare", folder, "--gold", str(tmp_path / "no.tsv")], "no.tsv"),
        # Told before anything is compared: there is no such text.
        (["compare", folder, "--texts", "no.txt", "--output", folder], "did not write"),
        (["inspect", "밥", "--merges", "--tokenizer", str(write("w", wordpiece()))], "no merges"),
    ):
        code, out, err = run(capsys, *arguments)
        assert (code, out) == (2, "")
        assert expected in err
        assert "Traceback" not in err


def test_inspecting_merges(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(write("chars", char_bpe("▁먹었다", ("먹", "었"))))
    code, out, _ = run(capsys, "inspect", "먹었다", "--merges", "--tokenizer", folder)
    assert code == 0
    assert "먹 + 었 → 먹었  (rank 0)" in out
    code, out, _ = run(capsys, "inspect", "먹었다", "--merges", "--json", "--tokenizer", folder)
    assert json.loads(out)[0]["merges"][0]["result"] == "먹었"


def test_help_teaches() -> None:
    from hunmin.cli.tokenizer import command

    shown = CliRunner().invoke(command, ["compare", "--help"]).output
    assert "hunmin tokenizer compare" in shown
    assert "WordPiece" in shown
