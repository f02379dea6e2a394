"""Models that write labels: what they are asked, how answers are read, and that they learn."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from tests.unit.adapt.nlu.conftest import byte_tokenizer, labelled
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MBartConfig,
    MBartForConditionalGeneration,
    PreTrainedModel,
)

from hunmin.adapt.nlu.finetune import finetune
from hunmin.adapt.nlu.massive_files import write_folder
from hunmin.adapt.nlu.predictions import score_files
from hunmin.adapt.nlu.report import NluReport
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.nlu.text_labels import (
    TextConfig,
    prompt_of,
    read_output,
    read_text_config,
    target_of,
)
from hunmin.adapt.nlu.text_model import load_text_model
from hunmin.adapt.nlu.text_prompts import fit_prompt
from hunmin.adapt.nlu.utterances import make_utterance
from hunmin.cli.ask import command as ask_command
from hunmin.core.errors import ArtifactKindError, CorruptArtifactError, EmptyCorpusError, InputError

CONFIG = TextConfig(intents=("alarm_set", "greet"), slot_types=("time", "date"))


def test_prompts_and_targets_are_those_of_massive() -> None:
    made = make_utterance(
        id="0",
        locale="en-US",
        intent="alarm_set",
        utt="Wake me at nine am, friday",
        annot_utt="Wake me at [time : nine am], [date : friday]",
    )
    assert prompt_of(made.utt, "en-US", "spoken") == "Annotate: wake me at nine am  friday"
    assert target_of(made) == "Other Other Other time time date alarm_set"
    assert prompt_of("今日は雨", "ja-JP", "written") == "Annotate: 今 日 は 雨"


def test_an_output_is_read_back_with_characters() -> None:
    text = "wake me at  nine am friday"
    parse = read_output(
        "Other Other Other time time date alarm_set", text, "en-US", CONFIG, score=0.5
    )
    assert parse is not None
    assert (parse.intent, parse.score) == ("alarm_set", 0.5)
    found = [(slot.type, slot.value, slot.first_character) for slot in parse.slots]
    assert found == [("time", "nine am", 12), ("date", "friday", 20)]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "Other",
        "Other Other",
        "Other Other flight",
        "Other place greet",
        "Other Other Other greet",
    ],
)
def test_an_output_that_is_no_parse_is_none(written: str) -> None:
    """Too few or too many labels, no intent, an unknown intent or type: counted, not raised."""
    assert read_output(written, "hello you", "en-US", CONFIG, score=1.0) is None


def bodies() -> dict[str, PreTrainedModel]:
    torch.manual_seed(0)
    ends = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 0}
    blocks = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 64}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    widths = {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 96}
    start = {"decoder_start_token_id": 0, "forced_eos_token_id": None}
    sequence = MBartConfig(vocab_size=448, **ends, **blocks, **heads, **widths, **start)
    causal = GPT2Config(vocab_size=448, n_embd=64, n_layer=2, n_head=2, n_positions=160, **ends)
    return {
        "sequence": MBartForConditionalGeneration(sequence),
        "causal": GPT2LMHeadModel(causal),
    }


def quick(data: Path, *, epochs: int, **keys: object) -> NluSpec:
    small = {"warmup_steps": 5, "hidden_dropout": 0.0, "batch_size": 8, "evaluate_every": epochs}
    machine = {"precision": "fp32", "threads": 1}
    start = {"preset": "mt5-text-full", "data": (data,), "epochs": epochs}
    return NluSpec.model_validate({**start, **small, **machine, **keys})


def ask(*words: object) -> Result:
    return CliRunner().invoke(ask_command, [str(word) for word in words], catch_exceptions=False)


@pytest.mark.parametrize(("kind", "rate"), [("sequence", 1e-2), ("causal", 3e-3)])
def test_both_kinds_learn_to_write_labels(kind: str, rate: float, tmp_path: Path) -> None:
    write_folder(tmp_path / "data", labelled("en"))
    bodies()[kind].save_pretrained(tmp_path / "body")
    byte_tokenizer().save(str(tmp_path / "body/tokenizer.json"))
    spec = quick(tmp_path / "data", test_partition="train", learning_rate=rate, epochs=30)
    artifact = finetune(spec, tmp_path / "body", tmp_path / "nlu")
    report = NluReport.model_validate_json((artifact.path / "report.json").read_bytes())
    assert report.scores.mean.exact_match.value > 0.5
    assert artifact.facts["malformed"] == report.num_malformed
    assert score_files(artifact.path / "predictions", tmp_path / "data", "train") == report.scores
    model = load_text_model(artifact.path)
    assert model.config.train_locales == model.config.selection_locales == ("en",)
    texts = ["hello", "make the kitchen warm by noon"]
    for together, alone in zip(
        model.parse(texts, "en"), [model.parse([text], "en")[0] for text in texts], strict=True
    ):
        assert together is not None
        assert alone is not None
        assert together.score == pytest.approx(alone.score, rel=1e-3)
        assert [slot.value for slot in together.slots] == [slot.value for slot in alone.slots]
        assert together.intent == alone.intent
    assert f"{'greet':>5}" in ask(artifact.path, "hello").output
    record = json.loads(ask(artifact.path, texts[1], "--locale", "en", "--json").output)
    assert record["intent"] == model.parse(texts[1:], "en")[0].intent  # type: ignore[union-attr]
    assert "no parse" in ask(artifact.path, "불 " * 20).output


@pytest.mark.parametrize("kind", ["sequence", "causal"])
def test_utterances_that_do_not_fit_are_left_out_and_counted(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    long = " ".join(["hello"] * 200)
    longs = [
        make_utterance(
            id="x", locale="en", partition=name, intent="greet", utt=long, annot_utt=long
        )
        for name in ("train", "test")
    ]
    data = [*labelled("en"), *longs]
    write_folder(tmp_path / "data", data)
    body = bodies()[kind]
    body.generation_config.update(do_sample=True, temperature=0.5)
    body.save_pretrained(tmp_path / "body")
    byte_tokenizer().save(str(tmp_path / "body/tokenizer.json"))
    spec = quick(tmp_path / "data", epochs=1)
    artifact = finetune(spec, tmp_path / "body", tmp_path / "nlu")
    assert not load_text_model(artifact.path).network.generation_config.do_sample
    assert "temperature" not in (artifact.path / "generation_config.json").read_text()
    report = NluReport.model_validate_json((artifact.path / "report.json").read_bytes())
    num_train = sum(made.partition == "train" for made in data)
    assert report.training == {"utterances": num_train - 1, "left_out_too_long": 1}
    assert report.num_truncated == 1
    assert report.scores.mean.num_utterances == sum(made.partition == "test" for made in data)
    assert f"1 of {num_train} training utterances are left out" in caplog.text
    text = (artifact.path / "report.md").read_text()
    assert "they do not fit the model with their labels: 1. " in text
    assert "read only in part: 1." in text
    write_folder(
        tmp_path / "data", [one for one in data if one.partition != "train" or one.id == "x"]
    )
    with pytest.raises(EmptyCorpusError, match="no training utterance fits the model"):
        finetune(spec, tmp_path / "body", tmp_path / "nlu")
    said = ask(artifact.path, "hello", "--json").output
    assert json.loads(said)["intent"] in (None, "greet", "heat", "turn_off", "turn_on")


@pytest.mark.parametrize("room", range(1, 30))
def test_a_prompt_is_cut_between_words(room: int) -> None:
    """The separator stays, and no word is asked about in part."""
    text = "  불 켜줘 the kitchen   light"
    asked = prompt_of(text, "en", "written") + "\n"
    tokenizer = byte_tokenizer(300)
    encoded = tokenizer.encode(asked)
    made = fit_prompt(encoded, text, "en", room)
    assert len(made.ids) <= room
    if len(encoded.ids) <= room:
        assert (list(made.ids), made.truncated_at) == (encoded.ids, None)
        return
    assert made.truncated_at is not None
    read = tokenizer.decode(list(made.ids))
    assert read.endswith("\n")
    assert text[made.truncated_at] != " "
    if made.truncated_at > 2:
        assert read.split()[1:] == text[: made.truncated_at].split()


def test_an_encoder_writes_no_text(data_folder: Path, body_folder: Path, tmp_path: Path) -> None:
    spec = NluSpec(preset="mt5-text-full", data=(data_folder,))
    with pytest.raises(InputError, match="an encoder writes no text"):
        finetune(spec, body_folder, tmp_path / "nlu")


def test_damaged_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match=r"no nlu_text\.json"):
        read_text_config(tmp_path)
    CONFIG.write(tmp_path)
    assert read_text_config(tmp_path) == CONFIG
    (tmp_path / "nlu_text.json").write_text("{}")
    with pytest.raises(CorruptArtifactError, match=r"nlu_text\.json cannot be read"):
        read_text_config(tmp_path)
