"""Data sets in forms of their own become utterances with the same slots."""

from pathlib import Path

import pytest

from hunmin.adapt.nlu.predictions import read_predictions, score_files
from hunmin.adapt.nlu.readers import read_data_set
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
