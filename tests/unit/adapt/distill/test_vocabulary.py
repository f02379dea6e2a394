"""Trimmed vocabularies: texts keep their pieces, models their answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tests.support.foreign import ENGLISH, KOREAN, foreign_definition, write_foreign
from tests.support.texts import SENTENCES
from tests.support.tiny_models import tiny_qwen3
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
)

from hunmin.adapt.distill.trim import trim_model_folder
from hunmin.adapt.distill.vocabulary import check_same, count_ids, open_plain, trim_tokenizer
from hunmin.core.artifact import load_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    ArtifactMismatchError,
    EmptyCorpusError,
    StageFailedError,
)
from hunmin.models.load import load_model

ALL_TEXTS = [text for texts in SENTENCES.values() for text in texts] * 3
KEPT = [*KOREAN, *ENGLISH]
THAI = SENTENCES["th"][0]


def byte_level(ignore_merges: bool = False) -> str:
    return foreign_definition(ALL_TEXTS + KEPT * 3, vocab_size=700, ignore_merges=ignore_merges)


def character_bpe() -> str:
    """As Gemma and Llama 2: characters, and bytes for those that are missing."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=special, show_progress=False, max_token_length=12
    )
    tokenizer.train_from_iterator(ALL_TEXTS + KEPT * 3, trainer)
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = definition["added_tokens"][:3]
    return json.dumps(definition)


def unigram() -> str:
    """As XLM-R: special tokens first, a mask token last, a template around texts."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=500,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(ALL_TEXTS + KEPT * 3, trainer)
    tokenizer.add_special_tokens(["<mask>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer.to_str()


def word_piece() -> str:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(ALL_TEXTS + KEPT * 3, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer.to_str()


@pytest.mark.parametrize(
    "make",
    [byte_level, lambda: byte_level(ignore_merges=True), character_bpe, unigram, word_piece],
    ids=["bytes", "llama 3", "characters", "unigram", "wordpiece"],
)
def test_texts_keep_their_pieces_and_others_go(make) -> None:
    definition = make()
    old = open_plain(definition)
    trimmed = trim_tokenizer(definition, count_ids(old, [KEPT]))
    new = open_plain(trimmed.definition)
    assert len(trimmed.old_ids) < trimmed.ids_before - 50
    for text in [*KEPT, KEPT[0] + " " + KEPT[-1]]:
        assert new.encode(text).tokens == old.encode(text).tokens
        assert new.decode(new.encode(text).ids) == old.decode(old.encode(text).ids)
    check_same(old, trimmed, KEPT)
    assert list(trimmed.old_ids) == sorted(trimmed.old_ids)


def test_other_scripts_fall_apart_into_bytes() -> None:
    definition = byte_level()
    old = open_plain(definition)
    trimmed = trim_tokenizer(definition, count_ids(old, [KEPT]))
    new = open_plain(trimmed.definition)
    assert len(new.encode(THAI).ids) > len(old.encode(THAI).ids)
    assert new.decode(new.encode(THAI).ids) == THAI
    assert trimmed.merges_after < trimmed.merges_before


def test_what_is_put_around_texts_follows() -> None:
    definition = unigram()
    trimmed = trim_tokenizer(definition, count_ids(open_plain(definition), [KEPT]))
    new = Tokenizer.from_str(trimmed.definition)
    assert new.encode(KEPT[0]).tokens[0] == "<s>"
    assert new.encode(KEPT[0]).tokens[-1] == "</s>"
    assert new.token_to_id("<mask>") == len(trimmed.old_ids) - 1


def test_another_encoding_is_noticed() -> None:
    definition = byte_level()
    old = open_plain(definition)
    trimmed = trim_tokenizer(definition, count_ids(old, [ENGLISH]))
    with pytest.raises(StageFailedError, match="otherwise than before"):
        check_same(old, trimmed, [THAI])


def test_models_that_cannot_be_trimmed_are_named() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(ArtifactKindError, match="cannot be trimmed"):
        trim_tokenizer(tokenizer.to_str(), [0])


def write_texts(folder: Path, texts: list[str]) -> Path:
    file = folder / "texts.txt"
    file.write_text("\n".join(texts), encoding="utf-8")
    return file


def encoder(rows: int) -> PreTrainedModel:
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=rows,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        max_position_embeddings=200,
    )
    model = XLMRobertaForMaskedLM(config).eval()
    torch.nn.init.normal_(model.lm_head.bias)
    return model


def test_an_encoder_answers_as_before_with_fewer_rows(tmp_path) -> None:
    folder = write_foreign(tmp_path / "xlmr", unigram())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": "<mask>"})
    )
    encoder(Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()).save_pretrained(
        folder
    )
    artifact = trim_model_folder(folder, [write_texts(tmp_path, KEPT)], tmp_path / "trimmed")
    facts = artifact.facts["trimming"]
    old_tokenizer, tokenizer = (AutoTokenizer.from_pretrained(f) for f in (folder, artifact.path))
    old, new = (AutoModelForMaskedLM.from_pretrained(f).eval() for f in (folder, artifact.path))
    assert new.config.vocab_size == facts["rows_after"] < old.config.vocab_size
    gone = old.config.vocab_size - new.config.vocab_size
    assert facts["parameters_before"] - facts["parameters_after"] == gone * (16 + 1)
    before = old(**old_tokenizer(KOREAN[0], return_tensors="pt")).logits[0]
    after = new(**tokenizer(KOREAN[0], return_tensors="pt")).logits[0]
    kept = [
        old_tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(number))
        for number in range(facts["ids_after"])
    ]
    torch.testing.assert_close(after[:, : len(kept)], before[:, kept])
    assert tokenizer.mask_token_id == facts["ids_after"] - 1


def test_a_decoder_keeps_its_end_of_text(tmp_path) -> None:
    definition = byte_level()
    folder = write_foreign(tmp_path / "qwen", definition)
    model = tiny_qwen3(768)
    end = Tokenizer.from_str(definition).token_to_id("<|im_end|>")
    model.config.eos_token_id = model.generation_config.eos_token_id = end
    model.save_pretrained(folder)
    trim_model_folder(folder, [write_texts(tmp_path, KEPT)], tmp_path / "trimmed")
    assert load_artifact(tmp_path / "trimmed", "model").facts["trimming"]["texts"] > 0
    new = load_model(tmp_path / "trimmed")
    tokenizer = Tokenizer.from_file(str(tmp_path / "trimmed" / "tokenizer.json"))
    assert new.config.eos_token_id == tokenizer.token_to_id("<|im_end|>") != end
    assert new.config.vocab_size % 64 == 0


def test_rare_pieces_fall_apart_if_asked(tmp_path) -> None:
    folder = write_foreign(tmp_path / "qwen", byte_level())
    tiny_qwen3(768).save_pretrained(folder)
    texts = [write_texts(tmp_path, [*KEPT * 4, THAI])]
    sizes = [
        trim_model_folder(folder, texts, tmp_path / str(n), min_count=n).facts["trimming"]
        for n in (1, 4)
    ]
    assert sizes[1]["ids_after"] < sizes[0]["ids_after"]


def test_bad_folders_and_texts(tmp_path) -> None:
    folder = write_foreign(tmp_path / "qwen", byte_level())
    tiny_qwen3(300).save_pretrained(folder)
    texts = write_texts(tmp_path, KEPT)
    with pytest.raises(ArtifactMismatchError, match="fewer rows"):
        trim_model_folder(folder, [texts], tmp_path / "new")
    with pytest.raises(EmptyCorpusError, match="no piece would be left"):
        trim_model_folder(folder, [], tmp_path / "new")
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(EmptyCorpusError, match="no piece would be left"):
        trim_model_folder(folder, [tmp_path / "blank.txt"], tmp_path / "new")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ArtifactKindError, match=r"no tokenizer\.json"):
        trim_model_folder(folder, [texts], tmp_path / "new")
