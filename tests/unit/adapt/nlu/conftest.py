"""A small labelled data set, a tokenizer of its words, and a tiny encoder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import RobertaPreLayerNormConfig, RobertaPreLayerNormForMaskedLM

from hunmin.adapt.nlu.massive_files import write_folder
from hunmin.adapt.nlu.utterances import Utterance, make_utterance

ROOMS = {
    "en": ["kitchen", "bedroom", "garage", "hall", "office", "attic"],
    "ko": ["부엌", "침실", "차고", "거실", "사무실", "다락"],
}
FORMS = {
    "en": [
        ("turn_on", "turn on the [room : {}] light"),
        ("turn_off", "switch off the light in the [room : {}]"),
        ("heat", "make the [room : {}] warm by [time : {}]"),
        ("greet", "hello"),
    ],
    "ko": [
        ("turn_on", "[room : {}]의 불 켜줘"),
        ("turn_off", "[room : {}] 불 꺼"),
        ("heat", "[time : {1}]까지 [room : {0}] 데워줘"),
        ("greet", "안녕"),
    ],
}
TIMES = {"en": ["noon", "six", "nine pm"], "ko": ["정오", "여섯 시", "아홉 시"]}


def labelled(locale: str) -> list[Utterance]:
    made = []
    for room_number, room in enumerate(ROOMS[locale]):
        for time_number, time in enumerate(TIMES[locale]):
            for number, (intent, form) in enumerate(FORMS[locale]):
                annotated = form.format(room, time)
                key = f"{number}-{room_number}-{time_number}"
                if intent != "heat" and time_number:
                    continue
                partition = ("train", "train", "train", "train", "dev", "test")[room_number]
                made.append(_utterance(key, locale, partition, intent, annotated))
    return made


def _utterance(key: str, locale: str, partition: str, intent: str, annotated: str) -> Utterance:
    plain = annotated.replace("[room : ", "").replace("[time : ", "").replace("]", "")
    return make_utterance(
        id=key,
        locale=locale,
        partition=partition,
        scenario="home",
        intent=intent,
        utt=plain,
        annot_utt=annotated,
    )


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("massive")
    write_folder(folder, [*labelled("en"), *labelled("ko")])
    return folder


def byte_tokenizer(vocab_size: int = 400) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [made.utt for locale in ROOMS for made in labelled(locale)]
    tokenizer.train_from_iterator(texts * 2, trainer)
    return tokenizer


@pytest.fixture(scope="session")
def body_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model with random weights, in the Hugging Face layout."""
    folder = tmp_path_factory.mktemp("body")
    torch.manual_seed(0)
    config = RobertaPreLayerNormConfig(
        vocab_size=448,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
    )
    RobertaPreLayerNormForMaskedLM(config).save_pretrained(folder)
    byte_tokenizer().save(str(folder / "tokenizer.json"))
    return folder
