"""What the model is shown in a conversation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.tiny_models import CONTEXT
from transformers import PreTrainedTokenizerFast

from hunmin.core.errors import ContextLengthError, CorruptArtifactError
from hunmin.serving.chat import RunningText, TemplatedChat, begin_conversation, read_chat_template
from hunmin.serving.engine import Engine

TEMPLATE = """\
{% for message in messages %}
    {%- if message.role == "user" %}Q: {{ message.content }}
    {%- else %}A: {{ message.content }}{{ eos_token }}
    {%- endif %}

{% endfor %}
{% if add_generation_prompt %}A:{% endif %}"""


def test_a_running_text_is_written_in_turn(engine: Engine) -> None:
    conversation = RunningText(engine)
    assert conversation.prompt_after("Turn on", num_new_tokens=8) == engine.encode("Turn on")
    conversation.remember(" the light", is_end=False)
    assert conversation.prompt_after("", num_new_tokens=8) == engine.encode("Turn on the light")
    conversation.remember(".", is_end=False)
    expected = engine.encode("Turn on the light.\nNext")
    assert conversation.prompt_after("Next", num_new_tokens=8) == expected


def test_an_ended_text_and_a_reset_begin_anew(engine: Engine) -> None:
    conversation = RunningText(engine)
    conversation.prompt_after("old", num_new_tokens=8)
    conversation.remember(" text", is_end=True)
    assert conversation.prompt_after("new", num_new_tokens=8) == engine.encode("new")
    conversation.reset()
    assert conversation.prompt_after("", num_new_tokens=8) == engine.encode("")


def test_a_text_that_is_too_long_loses_its_beginning_and_says_so(engine: Engine) -> None:
    conversation = RunningText(engine)
    conversation.prompt_after("short", num_new_tokens=56)
    assert not conversation.has_forgotten
    ids = conversation.prompt_after("자유 " * CONTEXT, num_new_tokens=56)
    assert conversation.has_forgotten
    assert len(ids) == CONTEXT - 56
    assert ids[0] == engine.tokenizer.boundary_id
    whole = engine.tokenizer.encode("short\n" + "자유 " * CONTEXT)
    assert list(ids[1:]) == whole[len(whole) - len(ids) + 1 :]


def test_a_template_gives_the_ids_that_transformers_gives(engine: Engine) -> None:
    conversation = TemplatedChat(engine, TEMPLATE)
    conversation.prompt_after("누구?", num_new_tokens=8)
    conversation.remember("나.", is_end=True)
    ids = conversation.prompt_after("Why?", num_new_tokens=8)
    text = "Q: 누구?\nA: 나.<|endoftext|>\nQ: Why?\nA:"
    peer = PreTrainedTokenizerFast(
        tokenizer_object=engine.tokenizer._tokenizer, eos_token="<|endoftext|>"
    )
    engine.tokenizer._tokenizer.encode_special_tokens = False
    try:
        assert list(ids) == peer(text, add_special_tokens=False)["input_ids"]
    finally:
        engine.tokenizer._tokenizer.encode_special_tokens = True


def test_old_messages_are_left_out_when_they_no_longer_fit(engine: Engine) -> None:
    conversation = TemplatedChat(engine, TEMPLATE)
    first = conversation.prompt_after("x" * 60, num_new_tokens=8)
    assert not conversation.has_forgotten
    conversation.remember("y" * 200, is_end=True)
    second = conversation.prompt_after("x" * 60, num_new_tokens=8)
    assert conversation.has_forgotten
    assert second == first


def test_a_message_longer_than_the_context_is_refused(engine: Engine) -> None:
    with pytest.raises(ContextLengthError):
        TemplatedChat(engine, TEMPLATE).prompt_after("자유" * CONTEXT, num_new_tokens=8)


def test_a_template_cannot_reach_outside(engine: Engine) -> None:
    escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with pytest.raises(CorruptArtifactError, match="the chat template cannot be filled in"):
        TemplatedChat(engine, escape).prompt_after("x", num_new_tokens=8)


def test_a_broken_template_is_named(engine: Engine) -> None:
    with pytest.raises(CorruptArtifactError, match="not a Jinja template") as caught:
        TemplatedChat(engine, "{% for %}")
    assert "given:   line 1" in str(caught.value)


def test_the_template_of_a_folder_decides_the_kind_of_conversation(
    engine: Engine, tmp_path: Path
) -> None:
    assert read_chat_template(tmp_path) is None
    assert isinstance(begin_conversation(engine, tmp_path), RunningText)
    config = json.dumps({"chat_template": "{{ messages }}"})
    (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
    assert read_chat_template(tmp_path) == "{{ messages }}"
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    assert read_chat_template(tmp_path) == TEMPLATE
    assert isinstance(begin_conversation(engine, tmp_path), TemplatedChat)
