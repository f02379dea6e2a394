"""Old ids stay, old text stays, new pieces are reached; what cannot be extended is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.foreign import (
    CHAT_TOKENS,
    ENGLISH,
    KOREAN,
    LLAMA3_SPLIT,
    foreign_definition,
    write_donor,
    write_foreign,
)
from tests.support.texts import HARD_TEXTS, SENTENCES
from tests.support.tiny_models import tiny_tokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer

from hunmin.core.artifact import load_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    EmptyCorpusError,
    InputError,
    MissingInputError,
    TextEncodingError,
    VocabularyError,
)
from hunmin.text.scripts import script_characters
from hunmin.tokenizer.alphabet import piece_to_bytes
from hunmin.tokenizer.exact import CUTTER_FILE
from hunmin.tokenizer.extend import (
    ExtendedTokenizer,
    ExtensionOptions,
    extend_tokenizer,
    extend_tokenizer_folder,
)
from hunmin.tokenizer.extension.base import BaseTokenizer, load_base
from hunmin.tokenizer.extension.scripts import PieceRule, possible_characters, split_partial
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer

TEXTS = [f"{text} {number}" for number in range(12) for text in KOREAN]
SWAHILI = [f"{text} {number}" for number in range(30) for text in SENTENCES["sw"]]
HANGUL = ExtensionOptions(scripts=("Hang",))


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return load_tokenizer(write_donor(tmp_path_factory.mktemp("donor")))


@pytest.fixture(scope="module", params=["qwen2", "llama3", "some Korean", "merges as text"])
def base(request: pytest.FixtureRequest) -> BaseTokenizer:
    if request.param == "llama3":
        return BaseTokenizer(foreign_definition(split=LLAMA3_SPLIT, ignore_merges=True))
    if request.param == "some Korean":
        texts = [*ENGLISH, *SENTENCES["ko"], *SENTENCES["ja"]]
        return BaseTokenizer(foreign_definition(texts, vocab_size=380))
    definition = json.loads(foreign_definition())
    if request.param == "merges as text":
        definition["model"]["merges"] = [" ".join(m) for m in definition["model"]["merges"]]
    return BaseTokenizer(json.dumps(definition))


@pytest.fixture(scope="module")
def result(base: BaseTokenizer, donor: TextTokenizer) -> ExtendedTokenizer:
    return extend_tokenizer(base, donor, TEXTS, keep=ENGLISH * 4, options=HANGUL)


def test_every_old_id_keeps_its_string(result: ExtendedTokenizer) -> None:
    old = Tokenizer.from_str(result.base.definition)
    new = Tokenizer.from_str(result.extended.definition)
    for number in range(result.base.num_ids):
        assert new.id_to_token(number) == old.id_to_token(number)
    assert new.get_vocab_size() == result.extended.num_ids
    assert sorted(new.get_vocab().values()) == list(range(result.extended.num_ids))


def test_special_tokens_keep_their_ids_above_the_vocabulary(result: ExtendedTokenizer) -> None:
    """The library numbers added tokens anew if the vocabulary lacks them, see `extended`."""
    old = Tokenizer.from_str(result.base.definition)
    new = Tokenizer.from_str(result.extended.definition)
    text = "<|im_start|>인간의 권리<|im_end|><|endoftext|>"
    ids = new.encode(text).ids
    for name in CHAT_TOKENS:
        assert old.token_to_id(name) == new.token_to_id(name)
        assert ids.count(old.token_to_id(name)) == 1
    assert new.decode(ids, skip_special_tokens=False) == text
    assert new.decode(ids) == "인간의 권리"


def test_new_pieces_are_reached_and_shorten_the_language(result: ExtendedTokenizer) -> None:
    facts = result.facts
    assert facts.new_pieces > 50
    assert facts.reachable == 1.0
    assert facts.bytes_per_token_after > 1.3 * facts.bytes_per_token_before
    assert facts.round_trip_failures == 0
    assert facts.kept_lines_changed == 0.0


def test_new_pieces_are_whole_characters_or_begin_one_of_the_script(
    result: ExtendedTokenizer,
) -> None:
    hangul = script_characters(("Hang",))
    for number in range(result.base.num_ids, result.extended.num_ids):
        complete, rest = split_partial(piece_to_bytes(result.extended.pieces[number]))
        assert hangul.intersection(complete.decode()) or hangul.issuperset(
            possible_characters(rest)
        )


def test_a_new_piece_is_what_old_pieces_were(result: ExtendedTokenizer) -> None:
    for number, parts in result.old_ids().items():
        joined = "".join(result.base.pieces[part] for part in parts)
        assert joined == result.extended.pieces[number]
        assert len(parts) > 1


@settings(max_examples=200, deadline=None)
@given(text=st.text())
def test_text_without_the_script_is_encoded_as_before(result: ExtendedTokenizer, text: str) -> None:
    other = "".join(c for c in text if c not in script_characters(("Hang",)))
    assert result.extended.encode([other]) == result.base.encode([other])


@settings(max_examples=200, deadline=None)
@given(
    text=st.lists(
        st.sampled_from("가각힣한국어ㄱ\u1112\u1161 .1aŻ字か\n") | st.characters(codec="utf-8")
    ).map("".join)
)
def test_round_trip(result: ExtendedTokenizer, text: str) -> None:
    (before,), (after,) = result.base.encode([text]), result.extended.encode([text])
    assert result.extended.decode(after) == result.base.decode(before)
    assert len(after) <= len(before)


@pytest.mark.parametrize("text", HARD_TEXTS)
def test_hard_texts(result: ExtendedTokenizer, text: str) -> None:
    (before,), (after,) = result.base.encode([text]), result.extended.encode([text])
    assert result.extended.decode(after) == result.base.decode(before)


def test_pieces_are_limited_in_order(base: BaseTokenizer, donor: TextTokenizer) -> None:
    few = extend_tokenizer(
        base, donor, TEXTS, options=ExtensionOptions(scripts=("Hang",), max_new=7)
    )
    more = extend_tokenizer(
        base, donor, TEXTS, options=ExtensionOptions(scripts=("Hang",), max_new=20)
    )
    assert few.facts.new_pieces == 7
    first = [more.extended.pieces[base.num_ids + rank] for rank in range(7)]
    assert [few.extended.pieces[base.num_ids + rank] for rank in range(7)] == first


@pytest.fixture(scope="module")
def swahili_donor(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    folder = tmp_path_factory.mktemp("swahili")
    return load_tokenizer(write_donor(folder, SENTENCES["sw"] * 4, vocab_size=300))


def test_own_scripts_are_found(
    base: BaseTokenizer, donor: TextTokenizer, swahili_donor: TextTokenizer
) -> None:
    assert extend_tokenizer(base, donor, TEXTS).facts.scripts == ("Hang",)
    facts = extend_tokenizer(base, swahili_donor, SWAHILI).facts
    assert facts.scripts == ()
    assert facts.reachable == 1.0


def test_merges_that_would_change_text_to_be_kept_are_avoided(
    swahili_donor: TextTokenizer,
) -> None:
    base = BaseTokenizer(foreign_definition(ENGLISH[:1], vocab_size=262))
    kept = [f"{text} {number}" for number in range(30) for text in ENGLISH]
    careless = extend_tokenizer(base, swahili_donor, SWAHILI).extended
    careful = extend_tokenizer(base, swahili_donor, SWAHILI, keep=kept).extended

    def changed(extended: BaseTokenizer) -> int:
        pairs = zip(base.encode(kept), extended.encode(kept), strict=True)
        return sum(old != new for old, new in pairs)

    assert changed(careful) < changed(careless)


def test_pieces_stay_within_the_donors(base: BaseTokenizer, donor: TextTokenizer) -> None:
    """With the penalty no frequent piece crosses the donor's boundaries, without it some do."""
    free = extend_tokenizer(
        base, donor, TEXTS, options=ExtensionOptions(scripts=("Hang",), cross_penalty=-1)
    )
    bound = extend_tokenizer(base, donor, TEXTS, options=HANGUL)
    assert bound.facts.donor_boundaries_after >= free.facts.donor_boundaries_after


def test_a_piece_rule_proves_the_script() -> None:
    rule = PieceRule(("Hang",))
    syllable = "한".encode()
    assert rule.admits(syllable)
    assert rule.admits(b" " + syllable)
    assert rule.admits(b" " + syllable[:2])
    # All that ED begins is Hangul, EA begins other scripts as well.
    assert rule.admits(syllable[:1])
    assert not rule.admits("가".encode()[:1])
    assert not rule.admits(syllable[1:])
    assert not rule.admits(syllable + syllable[:2])
    assert not rule.admits(b"the")
    assert not rule.admits("字".encode())
    assert PieceRule().admits(b"the")
    assert not PieceRule().admits(b"\x80\x80")
    assert PieceRule(("Hira",)).admits("か".encode()[:2])
    # E3 82 begins both hiragana and katakana.
    assert not PieceRule(("Hira",)).admits("ん".encode()[:2])
    assert PieceRule(("Hira", "Kana")).admits("ん".encode()[:2])


def test_signs_between_the_letters_of_a_script_are_told() -> None:
    rule = PieceRule(("Thai",))
    assert rule.admits("ก".encode()[:2])
    assert rule.shared(["ก".encode()[:2], "ก".encode(), b" "]) == {"฿"}
    assert PieceRule(("Hang",)).shared(["한".encode()[:2]]) == frozenset()
    adlam = PieceRule(("Adlm",))
    assert adlam.admits("𞤀".encode()[:2])
    assert "𞠀" in adlam.shared(["𞤀".encode()[:2]])
    assert not adlam.admits("𞤀".encode()[:1])
    assert not adlam.admits("😀".encode()[:2])


@pytest.mark.parametrize("language", ["th", "hi", "ar"])
def test_other_scripts(language: str, tmp_path: Path) -> None:
    texts = [f"{text} {number}" for number in range(30) for text in SENTENCES[language]]
    donor = load_tokenizer(write_donor(tmp_path, texts, vocab_size=300))
    facts = extend_tokenizer(BaseTokenizer(foreign_definition()), donor, texts).facts
    assert facts.scripts == ({"th": "Thai", "hi": "Deva", "ar": "Arab"}[language],)
    assert facts.bytes_per_token_after > 1.5 * facts.bytes_per_token_before
    assert facts.reachable == 1.0
    assert facts.round_trip_failures == 0


def test_a_lone_surrogate_is_named(donor: TextTokenizer) -> None:
    with pytest.raises(TextEncodingError, match="lone surrogate"):
        extend_tokenizer(BaseTokenizer(foreign_definition()), donor, ["가\ud800나"])


@pytest.mark.parametrize("character", ["é", "한", "😀", "\U0010ffff"])
def test_partial_characters_are_cut_off(character: str) -> None:
    data = character.encode()
    for length in range(1, len(data)):
        assert split_partial(b"ab" + data[:length]) == (b"ab", data[:length])
    assert split_partial(b"ab" + data) == (b"ab" + data, b"")


@pytest.mark.parametrize("tokenizer_class", ["PreTrainedTokenizerFast", "Qwen2Tokenizer"])
def test_stock_transformers_opens_the_folder(tmp_path: Path, tokenizer_class: str) -> None:
    source = write_foreign(tmp_path / "base", foreign_definition(), tokenizer_class=tokenizer_class)
    write_donor(tmp_path / "donor")
    (tmp_path / "ko.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    artifact = extend_tokenizer_folder(
        source, tmp_path / "donor", [tmp_path / "ko.txt"], tmp_path / "new", options=HANGUL
    )
    assert load_artifact(tmp_path / "new", "tokenizer").facts == artifact.facts
    assert not (tmp_path / "new" / "merges.txt").exists()
    assert "| scripts of new pieces | Hang |" in (tmp_path / "new" / "README.md").read_text()
    facts = json.loads((tmp_path / "new" / "extension.json").read_text(encoding="utf-8"))
    assert facts == artifact.facts["extension"]
    stock = AutoTokenizer.from_pretrained(tmp_path / "new")
    assert len(stock) == artifact.facts["vocab_size"]
    assert stock.eos_token == "<|im_end|>"
    texts = [*KOREAN, *ENGLISH, *SENTENCES["ja"]]
    ours = load_base(tmp_path / "new").encode(texts)
    assert [stock(text, add_special_tokens=False).input_ids for text in texts] == ours
    stock.save_pretrained(tmp_path / "again")
    again = AutoTokenizer.from_pretrained(tmp_path / "again")
    assert [again(text, add_special_tokens=False).input_ids for text in texts] == ours
    opened = load_tokenizer(tmp_path / "new")
    assert [row.tolist() for row in opened.encode_batch(texts)] == ours


def test_an_extended_tokenizer_can_be_extended(donor: TextTokenizer) -> None:
    base = BaseTokenizer(foreign_definition())
    once = extend_tokenizer(base, donor, TEXTS)
    japanese = [f"{text} {number}" for number in range(30) for text in SENTENCES["ja"]]
    twice = extend_tokenizer(once.extended, tiny_tokenizer(), japanese)
    assert "Hira" in twice.facts.scripts
    assert twice.base.num_ids == once.extended.num_ids
    assert twice.extended.encode(KOREAN) == once.extended.encode(KOREAN)


def _sentencepiece() -> str:
    tokenizer = Tokenizer(models.BPE({"<unk>": 0, "▁": 1, "a": 2}, [], byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer.to_str()


def _unigram() -> str:
    return Tokenizer(models.Unigram([("<unk>", 0.0), ("a", -1.0)], 0)).to_str()


def _with(**model: Any) -> Callable[[], str]:
    def definition() -> str:
        parsed = json.loads(foreign_definition())
        parsed["model"].update(model)
        return json.dumps(parsed)

    return definition


def _without_bytes() -> str:
    parsed = json.loads(foreign_definition())
    del parsed["model"]["vocab"]["í"]
    return json.dumps(parsed)


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        (_sentencepiece, "characters, not bytes"),
        (_unigram, "not BPE"),
        (_with(dropout=0.1), "by chance"),
        (_with(end_of_word_suffix="</w>", vocab={"a": 0}, merges=[]), "end of a word"),
        (_without_bytes, "1 bytes are missing"),
    ],
)
def test_what_cannot_be_extended_is_refused(definition: Callable[[], str], problem: str) -> None:
    with pytest.raises(ArtifactKindError, match=problem):
        BaseTokenizer(definition())


def test_added_tokens_that_text_could_spell_are_refused(donor: TextTokenizer) -> None:
    definition = foreign_definition(ignore_merges=True, special_tokens=["<|endoftext|>", "PAD"])
    with pytest.raises(ArtifactKindError, match="could spell") as caught:
        extend_tokenizer(BaseTokenizer(definition), donor, TEXTS)
    assert "added tokens PAD," in str(caught.value.given)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(CorruptArtifactError, match="cannot be read"):
        load_base(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(CorruptArtifactError, match="not UTF-8"):
        load_base(tmp_path)


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match=r"no tokenizer\.json"):
        load_base(tmp_path)
    with pytest.raises(MissingInputError, match="no such folder"):
        load_base(tmp_path / "nothing")


def test_a_tokenizer_with_an_analyser_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(foreign_definition(), encoding="utf-8")
    (tmp_path / CUTTER_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(ArtifactKindError, match="analyser in use"):
        load_base(tmp_path)


def test_nothing_new_to_add(donor: TextTokenizer) -> None:
    base = BaseTokenizer(foreign_definition())
    with pytest.raises(VocabularyError, match="nothing new"):
        extend_tokenizer(base, donor, ["가나", "다라", "마바"], options=HANGUL)


@pytest.mark.parametrize("texts", [[], ["  \n"], ["one line"], ["only English", "and more"] * 9])
def test_texts_without_the_language(donor: TextTokenizer, texts: list[str]) -> None:
    base = BaseTokenizer(foreign_definition())
    with pytest.raises(EmptyCorpusError, match="no text to learn"):
        extend_tokenizer(base, donor, texts, options=HANGUL)


def test_an_unknown_script_is_named(donor: TextTokenizer) -> None:
    base = BaseTokenizer(foreign_definition())
    with pytest.raises(InputError, match="no script that is known"):
        extend_tokenizer(base, donor, TEXTS, options=ExtensionOptions(scripts=("Hangul",)))


@pytest.mark.parametrize("penalty", [float("nan"), float("inf"), -2.0])
def test_impossible_penalties_are_refused(penalty: float) -> None:
    with pytest.raises(InputError, match="a finite number of at least -1"):
        ExtensionOptions(cross_penalty=penalty)
