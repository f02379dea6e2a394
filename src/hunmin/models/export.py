"""Write a model as a Hugging Face folder that stock transformers and vLLM open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transformers import GenerationConfig, PreTrainedModel

from hunmin.core.atomic import explain_disk_full
from hunmin.core.units import format_count
from hunmin.data.objectives.base import Layout
from hunmin.models.architecture import layout_of
from hunmin.models.build import count_parameters
from hunmin.models.forward import row_limit
from hunmin.models.quiet import without_progress_bars
from hunmin.tokenizer.exact import cutter_files
from hunmin.tokenizer.load import copy_tokenizer


@dataclass(frozen=True)
class ModelCard:
    """What the README of a model says.

    Args:
        name: Heading.
        summary: What it is and what it is for, a paragraph.
        languages: BCP 47 tags of the training text.
        license: Licence of the weights, an identifier of the Hugging Face hub such as apache-2.0.
        facts: Lines of the table: training tokens, scores, sources; name to value.
        limits: What it must not be used for, a paragraph.
    """

    name: str = "A hunmin language model"
    summary: str = "A language model trained with hunmin."
    languages: Sequence[str] = ()
    license: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    limits: str = (
        "It repeats what its training text says, errors and bias included, and invents facts. "
        "Check its output before anyone relies on it."
    )


def save_model(
    model: PreTrainedModel,
    tokenizer_path: Path,
    draft_path: Path,
    *,
    card: ModelCard | Mapping[str, object] | None = None,
    write_weights: Callable[[PreTrainedModel, Path], None] | None = None,
) -> None:
    """Write config.json, model.safetensors, generation_config.json, tokenizer and README.md.

    An encoder does not generate and gets no generation_config.json.

    Args:
        model: The model; it is not changed.
        tokenizer_path: Folder with tokenizer.json.
        draft_path: An existing folder, usually `ArtifactDraft.path`.
        card: What the README says; a mapping fills its table of facts.
        write_weights: Writes the safetensors files of a model that no process holds whole, into
            the folder; None for transformers' own way.

    Raises:
        ArtifactKindError: The tokenizer's folder has no tokenizer.json.
        DiskFullError: No space is left.
    """
    copy_tokenizer(tokenizer_path, draft_path)
    if layout_of(model.config) is not Layout.ALIGNED:
        model.generation_config = _generation_config(model)
    with explain_disk_full(draft_path), without_progress_bars():
        if write_weights is None:
            model.save_pretrained(draft_path)
        else:
            _write_config(model, draft_path)
            write_weights(model, draft_path)
    if not isinstance(card, ModelCard):
        card = ModelCard(facts=card or {})
    readme = _model_card(model, card, needs_analyser=bool(cutter_files(tokenizer_path)))
    (draft_path / "README.md").write_text(readme, encoding="utf-8")


def _write_config(model: PreTrainedModel, draft_path: Path) -> None:
    """What `save_pretrained` writes beside the weights."""
    model.config.dtype = str(model.dtype).removeprefix("torch.")
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(draft_path)
    if getattr(model, "generation_config", None) is not None:
        model.generation_config.save_pretrained(draft_path)


def _generation_config(model: PreTrainedModel) -> GenerationConfig:
    """Bounded sampling by default: greedy decoding of small models repeats itself."""
    config = model.config
    return GenerationConfig(
        bos_token_id=getattr(config, "bos_token_id", None),
        eos_token_id=config.eos_token_id,
        decoder_start_token_id=getattr(config, "decoder_start_token_id", None),
        pad_token_id=config.pad_token_id
        if config.pad_token_id is not None
        else config.eos_token_id,
        do_sample=True,
        temperature=0.8,
        top_p=0.95,
        max_new_tokens=128,
    )


def _model_card(model: PreTrainedModel, card: ModelCard, *, needs_analyser: bool) -> str:
    use = _USES[layout_of(model.config)]
    header = [
        "---",
        "library_name: transformers",
        f"pipeline_tag: {use.pipeline_tag}",
        "tags: [hunmin]",
    ]
    if card.languages:
        header.append(f"language: [{', '.join(card.languages)}]")
    if card.license:
        header.append(f"license: {card.license}")
    rows = {**_facts(model), **card.facts}
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return "\n".join(
        [
            *header,
            f"---\n\n# {card.name}\n\n{card.summary}\n",
            f"| fact | value |\n|---|---|\n{table}\n",
            f"## Use\n\n{_ANALYSER if needs_analyser else ''}```python\n{use.example}```\n",
            f"## Limits\n\n{card.limits}\n",
        ]
    )


def _facts(model: PreTrainedModel) -> dict[str, object]:
    counts, context = count_parameters(model.config), row_limit(model)
    return {
        "architecture": type(model).__name__,
        "parameters": format_count(counts.total),
        "of them embeddings": format_count(counts.embedding),
        "of them body": format_count(counts.non_embedding),
        "vocabulary": model.config.vocab_size,
        **({} if context is None else {"context in tokens": context}),
        "type of weights": str(next(model.parameters()).dtype).removeprefix("torch."),
    }


_ANALYSER = """\
This model was trained on text that an analyser cuts before it is encoded (`analyser.json`). hunmin
does that; stock transformers, as below, encodes whole words, which gives the model other ids.

"""


@dataclass(frozen=True)
class _Use:
    """How models of a layout are used.

    Args:
        pipeline_tag: Task of the Hugging Face hub.
        example: Python code.
    """

    pipeline_tag: str
    example: str


_USES = {
    Layout.NEXT_TOKEN: _Use(
        "text-generation",
        """\
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "."
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder)
prompt = tokenizer("<|endoftext|>", return_tensors="pt")
print(tokenizer.decode(model.generate(**prompt)[0], skip_special_tokens=True))
""",
    ),
    Layout.ALIGNED: _Use(
        "fill-mask",
        """\
from transformers import AutoModelForMaskedLM, AutoTokenizer

folder = "."
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForMaskedLM.from_pretrained(folder)
ids = tokenizer("<|endoftext|>Turn the <|mask|> on.", return_tensors="pt").input_ids
place = ids[0].tolist().index(tokenizer.convert_tokens_to_ids("<|mask|>"))
print([tokenizer.decode(i) for i in model(ids).logits[0, place].topk(5).indices])
""",
    ),
    Layout.SEQUENCE: _Use(
        "text2text-generation",
        """\
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

folder = "."
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForSeq2SeqLM.from_pretrained(folder)
ids = tokenizer("<|endoftext|>Turn the lights on.", return_tensors="pt").input_ids
print(tokenizer.decode(model.generate(ids)[0], skip_special_tokens=True))
""",
    ),
}
