"""Data sets in forms of their own become utterances with the same slots."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from hunmin.adapt.nlu.predictions import read_predictions, score_files
from hunmin.adapt.nlu.readers.formats import count_unseen_intents, read_data_set
from hunmin.core.errors import InputError, MissingInputError

CONLL = """\
# id: 7
# text: Regnet es heute?
# intent: weather/find
1\tRegnet\tweather/find\tB-weather/attribute
2\tes\tweather/find\tO
3\theute\tweather/find\tB-datetime
4\t?\tweather/find\tO

# text-en: add it to my friday list
# intent: AddToPlaylist
1\tzu\tAddToPlaylist\tO
2\tFriday\tAddToPlaylist\tB-playlist
3\tList\tAddToPlaylist\tI-playlist
4\tDJ\tAddToPlaylist\tI-artist
"""
TOKENS = '{"tokens": ["rain", "today"], "slots": ["O", "%s"], "intent": "weather/find"}\n'
SLURP = (
    '{"slurp_id": 12, "sentence": "wake me at nine", "scenario": "alarm", "intent": "alarm_set",'
    ' "sentence_annotation": "wake me at [time : nine]"}\n'
)


def test_xsid_is_read_with_its_texts(tmp_path: Path) -> None:
    (tmp_path / "de.valid.conll").write_text(CONLL)
    (tmp_path / "en.train.jsonl").write_text(TOKENS % "B-datetime")
    (tmp_path / "README.md").write_text("about")
    first, second, third = read_data_set(tmp_path, "xsid")
    assert (first.id, first.locale, first.partition) == ("7", "de", "dev")
    assert first.annot_utt == "[weather/attribute : Regnet] es [datetime : heute]?"
    assert (second.id, second.utt) == ("2", "zu Friday List DJ")
    assert [slot.type for slot in second.slots] == ["playlist", "artist"]
    assert second.words[second.slots[0].start : second.slots[0].end] == ("Friday", "List")
    assert (third.locale, third.partition, third.intent) == ("en", "train", "weather/find")


def test_slurp_is_read(tmp_path: Path) -> None:
    (tmp_path / "devel.jsonl").write_text(SLURP)
    (made,) = read_data_set(tmp_path, "slurp")
    assert (made.id, made.locale, made.partition) == ("12", "en-US", "dev")
    assert made.slots[0].type == "time"


def test_malformed_records_name_their_line_or_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "en.train.jsonl"
    file.write_text(TOKENS % "B-datetime" + TOKENS % "Odatetime")
    with pytest.raises(InputError, match=r"en\.train\.jsonl:2: a tag that is none"):
        read_data_set(tmp_path, "xsid")
    skipped: list[InputError] = []
    assert len(read_data_set(tmp_path, "xsid", skipped=skipped)) == 1
    assert "Odatetime" in str(skipped[0])
    for broken, problem in (
        ("{", "not JSON"),
        ('{"tokens": []}', "no slots, intent"),
        ('{"tokens": ["a"], "slots": [], "intent": "x"}', "another number of tags"),
    ):
        file.write_text(broken + "\n")
        with pytest.raises(InputError, match=problem):
            read_data_set(tmp_path, "xsid")
    file.unlink()
    (tmp_path / "de.valid.conll").write_text(CONLL.replace("# intent: AddToPlaylist\n", ""))
    with pytest.raises(InputError, match="block without an intent"):
        read_data_set(tmp_path, "xsid")


def test_folders_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no file of xsid"):
        read_data_set(tmp_path, "xsid")
    with pytest.raises(MissingInputError, match=r"no LOCALE\.jsonl file of predictions"):
        score_files(tmp_path, tmp_path)
    with pytest.raises(MissingInputError, match="no such file of predictions"):
        read_predictions(tmp_path / "ko.jsonl")
    (tmp_path / "ko.jsonl").write_text('{"id": "0", "locale": "ko", "intent": "a"}\n')
    with pytest.raises(InputError, match=r"ko\.jsonl:1: a line that is no prediction"):
        read_predictions(tmp_path / "ko.jsonl")


def nlupp(
    text: object = "change it on monday", fold: object = 0, **fields: object
) -> dict[str, object]:
    slot = {"date": {"text": "monday", "span": [13, 19], "value": {"day": 21}}}
    return {"text": text, "intents": ["change", "booking"], "slots": slot, "fold": fold, **fields}


def write_lines(file: Path, *records: dict[str, object]) -> None:
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_nlupp_is_read_by_folds(tmp_path: Path) -> None:
    bare = nlupp("why", 5, intents=[], slots={})
    write_lines(tmp_path / "hotels.jsonl", nlupp(), nlupp(fold=3), bare, nlupp(fold=7))
    (tmp_path / "ontology.json").write_text("{}")
    first, second, third, fourth = read_data_set(tmp_path, "nlupp", fold=7)
    assert (first.id, first.locale, first.scenario) == ("hotels-1", "en", "hotels")
    assert first.intent == "booking+change"
    assert first.annot_utt == "change it on [date : monday]"
    assert third.intent == "none"
    partitions = [one.partition for one in (first, second, third, fourth)]
    assert partitions == ["dev", "train", "train", "test"], "after the last fold comes the first"


def test_nlupp_is_read_as_it_was_published(tmp_path: Path) -> None:
    for fold in range(3):
        file = tmp_path / f"banking/fold{fold}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps([{"text": f"hello {fold}", "intents": ["greet"]}], indent=1))
    made = read_data_set(tmp_path, "nlupp", fold=1)
    told = [(one.id, one.utt, one.partition, one.intent) for one in made]
    assert told == [
        ("banking-0-1", "hello 0", "train", "greet"),
        ("banking-1-1", "hello 1", "test", "greet"),
        ("banking-2-1", "hello 2", "dev", "greet"),
    ]
    assert read_data_set(tmp_path / "banking", "nlupp", fold=1) == made
    file.write_text('[{"text": "a"},\n oops]')
    with pytest.raises(InputError, match=r"fold2\.json:2:2: a file that is not JSON"):
        read_data_set(tmp_path, "nlupp")


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (nlupp(slots={"date": {"text": "sunday", "span": [13, 19]}}), "not where it says"),
        (nlupp(slots={"date": {"text": "monday", "span": [13]}}), "no text and span"),
        (nlupp(slots={"date": "monday"}), "no text and span"),
        (nlupp(slots=["date"]), "slots that are none"),
        (nlupp(intents="change"), "intents that are none"),
        (nlupp(intents=["a+b"]), "cannot be joined"),
        (nlupp(text=7), "field text is no text"),
        (nlupp(text="\ud800"), "field text is no text"),
        (nlupp(text="", slots={}), "an empty utterance"),
        (
            nlupp(slots={k: {"text": "monday", "span": [13, 19]} for k in ("date", "time")}),
            "overlaps the one before",
        ),
    ],
)
def test_malformed_nlupp_is_named_or_left_out(
    broken: dict[str, object], problem: str, tmp_path: Path
) -> None:
    write_lines(tmp_path / "banking.jsonl", nlupp(), nlupp(fold=1), nlupp(fold=2), broken)
    with pytest.raises(InputError, match=rf"banking\.jsonl:4 \(record banking-4\): .*{problem}"):
        read_data_set(tmp_path, "nlupp")
    skipped: list[InputError] = []
    assert len(read_data_set(tmp_path, "nlupp", skipped=skipped)) == 3
    assert problem in str(skipped[0])


def test_folds_that_are_none_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "banking.jsonl"
    write_lines(file, nlupp(), nlupp(fold=2))
    with pytest.raises(InputError, match=r"no such fold(.|\n)*fold 1(.|\n)*one of 0, 2"):
        read_data_set(tmp_path, "nlupp", fold=1)
    with pytest.raises(InputError, match="too few folds"):
        read_data_set(file, "nlupp")
    write_lines(file, nlupp(fold="first"))
    with pytest.raises(InputError, match=r"banking\.jsonl:1.*a fold that is no whole number"):
        read_data_set(file, "nlupp")


def test_real_nlupp_is_whole_but_for_two_records(shared_data: Path) -> None:
    """Counts of the raw files: 1,658 + 809 records, two of hotels with slots in each other."""
    skipped: list[InputError] = []
    made = read_data_set(shared_data / "nlupp", "nlupp", fold=15, skipped=skipped)
    assert len(made) == 2467 - 2
    where = [re.search(r"hotels-\d+", str(error)) for error in skipped]
    assert [found and found[0] for found in where] == ["hotels-657", "hotels-709"]
    partitions = Counter(one.partition for one in made)
    assert partitions == {"test": 157, "dev": 151, "train": 2465 - 157 - 151}
    assert sum(len(one.slots) for one in made) == 767 + 841 - 4
    assert all(one.utt[s.first_character : s.end_character] for one in made for s in one.slots)
    assert {name for one in made for name in one.intent.split("+")} >= {"none", "spa", "pin"}
    assert count_unseen_intents(made) > 40, "labels of one intent each would hide this"
