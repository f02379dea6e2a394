"""Add a language to a model: its tokenizer gets the pieces, its embeddings the rows for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from transformers import PreTrainedModel

from hunmin.adapt.embeddings import Mixture, extend_embeddings, mean_mixture
from hunmin.core.artifact import Artifact, check_output, load_artifact, write_artifact
from hunmin.core.atomic import explain_disk_full
from hunmin.models.load import load_unchanged
from hunmin.models.quiet import without_progress_bars
from hunmin.tokenizer.extend import (
    ExtendedTokenizer,
    ExtensionOptions,
    extend_from_files,
    known_inputs,
    read_texts,
    recipe_of,
    sample_pieces,
    write_extended,
)
from hunmin.tokenizer.extension.measure import describe_extension

Initialization = Literal["mean", "focus", "random"]
FOCUS_TEXT_BYTES = 20_000_000


def extend_model_folder(
    source: Path,
    donor: Path,
    texts: Sequence[Path],
    output: Path,
    *,
    keep: Sequence[Path] = (),
    options: ExtensionOptions | None = None,
    initialization: Initialization = "focus",
) -> Artifact:
    """Write a model folder with an extended tokenizer and embeddings for the new pieces.

    Args:
        source: Folder of a model of transformers with a byte-level tokenizer.
        donor: Folder of the new language's tokenizer.
        texts: Files or folders with text of the new language.
        output: Folder of the model artifact.
        keep: Files or folders with text of the languages that the model knows.
        options: Scripts, number of pieces and the like.
        initialization: What new rows are made of: `focus` for old pieces that keep similar
            company, `mean` for those that the new piece was before, `random` for comparison.

    Returns:
        The artifact; stock transformers opens it. Weights keep their type.

    Raises:
        InputError: A folder or file is not what it should be, or there is nothing to add.
        ArtifactMismatchError: The tokenizer has more ids than the model has rows.
        CorruptArtifactError: A file is damaged.
    """
    inputs = known_inputs(source, donor)
    check_output(output, "model", inputs)
    model = load_unchanged(source)
    result = extend_from_files(source, donor, texts, keep=keep, options=options)
    mixture = choose_mixture(result, initialization, texts)
    facts = extend_embeddings(
        model, mixture, first_id=result.base.num_ids, num_ids=result.extended.num_ids
    )
    recipe = {**recipe_of(source, donor, options), "initialization": initialization}
    with write_artifact(output, "model", recipe=recipe, inputs=inputs) as draft:
        _save(model, result, source, draft.path)
        draft.facts.update(
            vocab_size=facts.rows_after,
            initialization=initialization,
            embeddings=asdict(facts),
            extension=result.facts.as_dict(),
        )
    return load_artifact(output, "model", verify=False)


def choose_mixture(
    result: ExtendedTokenizer, initialization: Initialization, texts: Sequence[Path]
) -> Mixture | None:
    """Choose what new rows are made of.

    Args:
        result: The extended tokenizer.
        initialization: The method.
        texts: Files with text of the new language, which `focus` reads once more.

    Returns:
        The mixture; None for random rows.
    """
    if initialization == "random":
        return None
    old_ids = result.old_ids()
    if initialization == "mean":
        return mean_mixture(old_ids)
    from hunmin.adapt.focus import focus_mixture

    lines = (
        line for text in read_texts(texts, max_bytes=FOCUS_TEXT_BYTES) for line in text.split("\n")
    )
    rows = [np.array(row, dtype=np.int64) for row in result.extended.encode(list(lines))]
    return focus_mixture(old_ids, rows)


def _save(model: PreTrainedModel, result: ExtendedTokenizer, source: Path, target: Path) -> None:
    with explain_disk_full(target), without_progress_bars():
        model.save_pretrained(target)
    write_extended(result, source, target)
    readme = describe_extension(result.facts, sample_pieces(result))
    heading = "---\nlibrary_name: transformers\ntags: [hunmin]\n---\n\n"
    (target / "README.md").write_text(heading + readme, encoding="utf-8")
