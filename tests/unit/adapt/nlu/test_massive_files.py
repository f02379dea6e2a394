import json
from pathlib import Path
from typing import Any

import pytest

from hunmin.adapt.nlu.massive_files import check_locale, read_file, read_folder, write_folder
from hunmin.adapt.nlu.utterances import make_utterance
from hunmin.core.errors import EmptyCorpusError, InputError, MissingInputError

GOLDEN = (
    '{"id": "0", "locale": "ko-KR", "partition": "test", "scenario": "alarm", "intent": '
    '"alarm_set", "utt": "이번 주 오전 다섯 시에 깨워 줘", "annot_utt": "[date : 이번 주] '
    '[time : 오전 다섯 시]에 깨워 줘", "worker_id": "3", "slot_method": [{"slot": "time", '
    '"method": "translation"}], "judgments": [{"worker_id": "8", "intent_score": 1}]}\n'
    '{"id": "1", "locale": "ko-KR", "partition": "train", "scenario": "audio", "intent": '
    '"audio_volume_mute", "utt": "조용 \u2028해 🔇", "annot_utt": "조용 \u2028해 🔇", '
    '"new": null}\n'
)


def write(folder: Path, text: str, name: str = "ko-KR.jsonl") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def record(**changes: Any) -> str:
    fields: dict[str, Any] = {
        "id": "5", "locale": "ko-KR", "partition": "train", "scenario": "s",
        "intent": "i", "utt": "불 켜", "annot_utt": "[device : 불] 켜",
    }  # fmt: skip
    kept = {name: value for name, value in (fields | changes).items() if value is not ...}
    return json.dumps(kept, ensure_ascii=False) + "\n"


def test_a_folder_is_written_back_byte_by_byte(tmp_path: Path) -> None:
    source = write(tmp_path, GOLDEN)
    read = read_folder(tmp_path)
    (written,) = write_folder(tmp_path / "copy", read["ko-KR"])
    assert written.read_bytes() == source.read_bytes()
    assert read["ko-KR"][0].extra["slot_method"] == [{"slot": "time", "method": "translation"}]


def test_partitions_and_locales_are_chosen(tmp_path: Path) -> None:
    write(tmp_path, GOLDEN)
    write(tmp_path, record(locale="en-US"), "en-US.jsonl")
    assert [made.id for made in read_folder(tmp_path, partitions={"train"})["ko-KR"]] == ["1"]
    assert list(read_folder(tmp_path)) == ["en-US", "ko-KR"]
    assert list(read_folder(tmp_path, locales=["en-US"])) == ["en-US"]


def test_a_slot_of_a_word_part_keeps_its_characters(tmp_path: Path) -> None:
    made = read_file(write(tmp_path, GOLDEN))[0]
    assert made.words[2:5] == ("오전", "다섯", "시에")
    time = made.slots[1]
    assert (time.type, time.start, time.end) == ("time", 2, 5)
    assert made.utt[time.first_character : time.end_character] == "오전 다섯 시"


@pytest.mark.parametrize(
    ("line", "where", "problem"),
    [
        (record(annot_utt="[device : 불 켜"), ":3:1 (record 5)", "never closed"),
        (record(annot_utt="[device : 뿔] 켜"), ":3:1 (record 5)", "utt and annot_utt differ"),
        (record(utt="불 [켜]", annot_utt="불 [켜]"), ":3:3 (record 5)", "opens no slot"),
        (record(utt=" "), ":3 (record 5)", "empty utterance"),
        (record(intent=...), ":3 (record 5)", "no intent"),
        (record(id=5), ":3 (record 5)", "id is no text"),
        (record(utt="\ud800").replace("\ud800", "\\ud800"), ":3 (record 5)", "utt is no text"),
        (record(locale="en-US"), ":3 (record 5)", "another locale"),
        (record(id="1"), ":3 (record 1)", "of line 2 occurs again"),
        ("[1]\n", ":3", "no JSON object"),
        ('{"id": }\n', ":3:8", "not JSON"),
        ("\n", ":3:1", "not JSON"),
    ],
)
def test_malformed_records_name_file_line_and_record(
    tmp_path: Path, line: str, where: str, problem: str
) -> None:
    path = write(tmp_path, GOLDEN + line)
    with pytest.raises(InputError, match=problem) as caught:
        read_file(path)
    assert f"{path}{where}: " in str(caught.value)
    assert caught.value.hint


def test_the_same_id_may_stand_in_two_partitions(tmp_path: Path) -> None:
    path = write(tmp_path, record() + record(partition="test"))
    assert len(read_file(path)) == 2


def test_bytes_that_are_not_utf_8_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ko-KR.jsonl"
    path.write_bytes(GOLDEN.encode() + b'{"id": "\xff"}\n')
    with pytest.raises(InputError, match="not UTF-8") as caught:
        read_file(path)
    assert f"{path}:3:9" in str(caught.value)


def test_a_locale_without_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"no LOCALE.jsonl"):
        read_folder(tmp_path)
    path = write(tmp_path, GOLDEN)
    with pytest.raises(MissingInputError, match="Did you mean 'ko-KR'"):
        read_folder(tmp_path, locales=["ko-KP"])
    with pytest.raises(EmptyCorpusError, match=r"no utterance is left") as caught:
        read_file(path, partitions={"dev"})
    assert caught.value.given == "partitions ['test', 'train']"
    with pytest.raises(EmptyCorpusError):
        read_file(write(tmp_path, "", "de-DE.jsonl"))
    with pytest.raises(MissingInputError, match="no such file"):
        read_file(tmp_path / "xx.jsonl")


def test_nothing_to_write_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmptyCorpusError):
        write_folder(tmp_path / "new", [])
    assert not (tmp_path / "new").exists()


def test_new_utterances_are_written_in_the_form_of_massive(tmp_path: Path) -> None:
    made = make_utterance(id="9", locale="en", intent="i", utt="play [live]", scenario="s")
    (path,) = write_folder(tmp_path, [made])
    assert json.loads(path.read_text())["annot_utt"] == "play \\[live\\]"
    assert read_file(path) == [made]


@pytest.mark.parametrize(
    ("wanted", "present", "named"),
    [
        ("kr", ["de", "en", "ko"], "'ko'"),
        ("kr", ["ko-KR", "de-DE"], "'ko-KR'"),
        ("zh", ["zh-CN", "zh-TW", "ko-KR"], "'zh-CN' or 'zh-TW'"),
        ("en-US", ["ko", "en"], "'en'"),
    ],
)
def test_a_locale_is_suggested_by_language_country_or_one_letter(
    wanted: str, present: list[str], named: str
) -> None:
    with pytest.raises(MissingInputError) as caught:
        check_locale(wanted, present)
    assert f"'{wanted}'. Did you mean {named}?" in str(caught.value)
    with pytest.raises(MissingInputError) as caught:
        check_locale("xx", present)
    assert "Did you mean" not in str(caught.value)
