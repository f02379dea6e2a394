"""Write what each objective makes of a sentence, and the sizes of presets, into their page.

python docs/pictures/objectives.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from hunmin.core.tables import markdown_table
from hunmin.core.units import format_count
from hunmin.core.yaml12 import parse_yaml
from hunmin.data.batch import IGNORED_LABEL
from hunmin.data.objectives.base import Corrupted, Layout
from hunmin.data.objectives.build import find_language_ids, make_objective
from hunmin.data.objectives.kinds import choose_objectives
from hunmin.data.objectives.ragged import Documents
from hunmin.data.objectives.sentences import sentence_table
from hunmin.data.objectives.spec import ObjectiveSpec
from hunmin.models.build import count_parameters, model_config
from hunmin.models.spec import ModelSpec
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.reserved import PURPOSES, reserved_tokens
from hunmin.tokenizer.spec import REQUIRED_SPECIAL_TOKENS

PAGE = Path(__file__).resolve().parents[1] / "how-to" / "objectives.md"
# Article 1 of the Universal Declaration of Human Rights.
TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with "
    "reason and conscience and should act towards one another in a spirit of brotherhood.",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 "
    "이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
}
DIAL_SIZES = ("1M", "10M", "100M")
DIALS = ("hunmin-encoder", "hunmin-seq2seq")
SHAPES = (
    *("alexatm-encoder-17m", "alexatm-encoder-170m", "alexatm-encoder-700m"),
    *("alexatm-encoder-2.3b", "alexatm-encoder-9.3b", "xlmr-style", "alexatm-20b"),
)
DIAL_VOCABULARY = 16_000
# Of this document the draws are telling.
DOCUMENT = 3
_BLOCK = re.compile(
    r"^```text\n# (encoder|decoder|encoder-decoder) (\{[^\n]*\})\n.*?^```", re.M | re.S
)
_TABLE = re.compile(r"(?<=<!-- presets -->\n).*?(?=<!-- end of presets -->)", re.S)
_LAYOUTS: dict[str, Layout] = {layout.model_kind: layout for layout in Layout}


def rewritten(page: str) -> str:
    """Return the page with what the code makes of the sentences now."""
    tokenizer = word_tokenizer()

    def replace(match: re.Match[str]) -> str:
        value, _ = parse_yaml(match[2], "the page")
        spec: ObjectiveSpec = TypeAdapter(ObjectiveSpec).validate_python(value)
        lines = example(spec, _LAYOUTS[match[1]], tokenizer)
        return "\n".join(["```text", f"# {match[1]} {match[2]}", *lines, "```"])

    return _TABLE.sub(lambda _: presets_table(), _BLOCK.sub(replace, page))


def word_tokenizer() -> TextTokenizer:
    """Train a tokenizer on the sentences alone, so that each word is one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [*REQUIRED_SPECIAL_TOKENS, *reserved_tokens(PURPOSES, TEXTS)]
    trainer = trainers.BpeTrainer(
        vocab_size=5000,
        min_frequency=1,
        show_progress=False,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(TEXTS.values(), trainer)
    return TextTokenizer(tokenizer.to_str())


def example(spec: ObjectiveSpec, layout: Layout, tokenizer: TextTokenizer) -> list[str]:
    """Return what is read and what is said, for each language."""
    choose_objectives((spec,), layout.model_kind)
    objective = make_objective((spec,), tokenizer, layout, context=64, seed=0).objectives[0]
    result = objective(documents(spec, tokenizer), 0, DOCUMENT)
    lines: list[str] = []
    for number, language in enumerate(TEXTS):
        reads, says = sides(result, number, layout, tokenizer)
        lines += [f"{language} reads  {reads}", f"   says   {says}"]
    return [line.rstrip() for line in lines]


def documents(spec: ObjectiveSpec, tokenizer: TextTokenizer) -> Documents:
    """Return one sentence a language, or both where sentences are moved."""
    both = getattr(spec, "of", "") == "sentences" or getattr(spec, "permute_sentences", False)
    texts = [text if both else text.partition(". ")[0] + "." for text in TEXTS.values()]
    rows = Documents.from_lists([tokenizer.encode(text) for text in texts])
    languages = np.array(find_language_ids(tokenizer, list(TEXTS)))
    starts = sentence_table(tokenizer).starts(rows.tokens)
    return Documents(rows.tokens, rows.offsets, starts, languages)


def sides(
    result: Corrupted, number: int, layout: Layout, tokenizer: TextTokenizer
) -> tuple[str, str]:
    """Return what a model reads and what it is to say, as text."""
    read = result.inputs.to_lists()[number]
    labels = result.labels.to_lists()[number]
    if layout is Layout.NEXT_TOKEN:
        # A decoder reads the text itself and says the next token at every place.
        read = result.targets.to_lists()[number]
    return written(read, tokenizer), written(labels, tokenizer)


def written(tokens: Iterable[int], tokenizer: TextTokenizer) -> str:
    """Return tokens as text, with a dot where nothing is said."""
    parts = []
    for token in tokens:
        if token == IGNORED_LABEL:
            parts.append(" ·")
            continue
        text = tokenizer.decode([token], skip_special_tokens=False)
        is_mark = text in {".", ","}
        parts.append(text if is_mark else f" {text.strip()}")
    return "".join(parts).strip()


def presets_table() -> str:
    """Return a table of sizes; embeddings and the rest apart."""
    chosen = [ModelSpec(preset=name, size=size) for name in DIALS for size in DIAL_SIZES]
    rows = [_row(f"{spec.preset}, {spec.size}", spec, DIAL_VOCABULARY) for spec in chosen]
    rows += [_row(name, ModelSpec(preset=name), None) for name in SHAPES]
    factorised = ModelSpec(preset="xlmr-style", embedding_width=128)
    rows.append(_row("xlmr-style, embedding_width: 128", factorised, None))
    header = ("preset", "layers", "width", "vocabulary", "body", "embeddings", "total")
    return "\n".join(["", *markdown_table(header, rows), "", ""])


def _row(name: str, spec: ModelSpec, vocabulary: int | None) -> tuple[str, ...]:
    config = model_config(spec, vocab_size=vocabulary, context=512)
    counts = count_parameters(config)
    depths = [getattr(config, side, 0) for side in ("encoder_layers", "decoder_layers")]
    layers = " + ".join(map(str, depths)) if any(depths) else str(config.num_hidden_layers)
    sizes = (counts.non_embedding, counts.embedding, counts.total)
    return (
        f"`{name}`",
        layers,
        f"{config.hidden_size:,}",
        f"{config.vocab_size:,}",
        *map(format_count, sizes),
    )


def main() -> None:
    """Rewrite the page."""
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
