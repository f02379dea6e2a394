"""A model folder with a smaller vocabulary: the languages it serves, and no rows for others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from hunmin.adapt.distill.vocabulary import (
    TrimmedTokenizer,
    check_same,
    count_ids,
    open_plain,
    trim_tokenizer,
)
from hunmin.adapt.embeddings import vocabulary_parameters
from hunmin.core.artifact import Artifact, check_output, load_artifact, write_artifact
from hunmin.core.atomic import explain_disk_full
from hunmin.core.errors import ArtifactKindError, ArtifactMismatchError, EmptyCorpusError
from hunmin.core.hashing import sha256_file
from hunmin.core.logs import get_logger
from hunmin.models.forward import first_position
from hunmin.models.load import load_unchanged
from hunmin.models.quiet import without_progress_bars
from hunmin.tokenizer.exact import cutter_files, load_cutter
from hunmin.tokenizer.extend import known_inputs, read_texts

logger = get_logger(__name__)

_SETTINGS = ("special_tokens_map.json", "chat_template.jinja", "chat_template.json")
_TEXTS_AT_ONCE = 1000
_MULTIPLE = 64


@dataclass(frozen=True)
class TrimFacts:
    """What was taken away from a model.

    Args:
        ids_before: Ids of the tokenizer.
        ids_after: Ids that are left.
        rows_after: Rows of the embeddings: a multiple of 64, for speed.
        merges_before: Merges of a BPE tokenizer.
        merges_after: Merges that are left.
        parameters_before: Parameters of the model; a tied matrix counts once.
        parameters_after: Parameters that are left.
        texts: Texts that were read.
    """

    ids_before: int
    ids_after: int
    rows_after: int
    merges_before: int
    merges_after: int
    parameters_before: int
    parameters_after: int
    texts: int


def trim_model_folder(
    source: Path, texts: Sequence[Path], output: Path, *, min_count: int = 1
) -> Artifact:
    """Write a model folder whose vocabulary holds what some text uses.

    Args:
        source: Folder of a model of transformers with a tokenizer.json.
        texts: Files or folders with text of all languages it shall serve.
        output: Folder of the model artifact.
        min_count: How often a piece must occur to be kept. With 1 the texts are encoded as before,
            which is checked; rarer pieces fall apart into smaller ones.

    Returns:
        The artifact; stock transformers opens it. Its facts say how many parameters went.

    Raises:
        InputError: A folder or file is not what it should be.
        ArtifactMismatchError: The tokenizer has more ids than the model has rows.
        EmptyCorpusError: There is no text.

    Note:
        Text in other languages is encoded still, in smaller pieces or bytes; a Unigram or WordPiece
        tokenizer without bytes calls characters unknown that the texts do not have.
    """
    inputs = known_inputs(source)
    check_output(output, "model", inputs)
    definition = _read_definition(source)
    model = load_unchanged(source)
    trimmed, num_texts = trim_to_texts(source, definition, texts, min_count)
    facts = trim_model(model, trimmed, texts=num_texts)
    recipe = {
        "source_sha256": sha256_file(source / "tokenizer.json"),
        "min_count": min_count,
        "texts": [path.name for path in texts],
    }
    with write_artifact(output, "model", recipe=recipe, inputs=inputs) as draft:
        with explain_disk_full(draft.path), without_progress_bars():
            model.save_pretrained(draft.path)
        _write_tokenizer(source, draft.path, trimmed)
        draft.facts.update(vocab_size=facts.rows_after, trimming=asdict(facts))
    logger.info(
        "%d of %d ids are left; %.1fM of %.1fM parameters went",
        facts.ids_after,
        facts.ids_before,
        (facts.parameters_before - facts.parameters_after) / 1e6,
        facts.parameters_before / 1e6,
    )
    return load_artifact(output, "model", verify=False)


def trim_to_texts(
    source: Path, definition: str, texts: Sequence[Path], min_count: int = 1
) -> tuple[TrimmedTokenizer, int]:
    """Trim a tokenizer to the pieces that files of text use.

    Args:
        source: Its folder, which may hold an analyser that cuts texts first.
        definition: Content of its tokenizer.json.
        texts: Files or folders.
        min_count: How often a piece must occur.

    Returns:
        The trimmed tokenizer, and how many texts were read.
    """
    old = open_plain(definition)
    batches = list(_batches(source, texts))
    if not any(text.strip() for batch in batches for text in batch):
        raise EmptyCorpusError(
            "there is no text, so no piece would be left",
            given=", ".join(map(str, texts)) or "no files",
            hint="name files with text of the languages that the model shall serve",
        )
    counts = count_ids(old, batches)
    trimmed = trim_tokenizer(definition, [i for i, count in counts.items() if count >= min_count])
    if min_count == 1:
        for batch in batches:
            check_same(old, trimmed, batch)
    return trimmed, sum(map(len, batches))


def _batches(source: Path, texts: Sequence[Path]) -> Iterator[list[str]]:
    cutter = load_cutter(source)
    reader = iter(read_texts(texts))
    while batch := list(islice(reader, _TEXTS_AT_ONCE)):
        yield batch if cutter is None else [part for parts in cutter.cut(batch) for part in parts]


@torch.no_grad()
def trim_model(model: PreTrainedModel, trimmed: TrimmedTokenizer, *, texts: int = 0) -> TrimFacts:
    """Take the rows of pieces that are gone out of a model, in place.

    Args:
        model: A model of transformers with an input embedding.
        trimmed: Its trimmed tokenizer.
        texts: Texts it was trimmed to, for the facts.

    Returns:
        What was taken away.

    Raises:
        ArtifactMismatchError: The model has fewer rows than its tokenizer has ids.

    Note:
        Input and output embeddings and an output bias are treated alike; token ids in the
        configuration follow. Rows that only pad the vocabulary become the mean of the others.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    old_ids = torch.tensor(trimmed.old_ids)
    _check_rows(model, rows, trimmed)
    before = sum(p.numel() for p in model.parameters())
    old = [parameter.detach().clone() for parameter in vocabulary_parameters(model)]
    bias = getattr(model, "final_logits_bias", None)
    size = -(-len(old_ids) // _MULTIPLE) * _MULTIPLE
    model.resize_token_embeddings(size, mean_resizing=False)
    for parameter, matrix in zip(vocabulary_parameters(model), old, strict=True):
        parameter[: len(old_ids)] = matrix[old_ids]
        parameter[len(old_ids) :] = matrix[old_ids].float().mean(0).to(matrix.dtype)
    if isinstance(bias, torch.Tensor):
        model.final_logits_bias[:, : len(old_ids)] = bias[:, old_ids]
    _renumber_settings(model, trimmed.new_ids)
    return TrimFacts(
        ids_before=trimmed.ids_before,
        ids_after=len(old_ids),
        rows_after=size,
        merges_before=trimmed.merges_before,
        merges_after=trimmed.merges_after,
        parameters_before=before,
        parameters_after=sum(p.numel() for p in model.parameters()),
        texts=texts,
    )


def _check_rows(model: PreTrainedModel, rows: int, trimmed: TrimmedTokenizer) -> None:
    if rows <= trimmed.old_ids[-1]:
        raise ArtifactMismatchError(
            "the model has fewer rows of embeddings than its tokenizer has ids",
            given=f"{rows} rows, id {trimmed.old_ids[-1]}",
            hint="the tokenizer belongs to another model; take the one the model was trained with",
        )
    padding = model.config.pad_token_id
    if first_position(model) and trimmed.new_ids.get(padding) != padding:
        raise ArtifactMismatchError(
            "positions of this model are counted from the id of its padding token, which moves",
            given=f"padding token {padding}, then {trimmed.new_ids.get(padding)}",
            allowed="a padding token before all pieces, as XLM-R has it",
            hint="trim another model, or keep its vocabulary",
        )


def _renumber_settings(model: PreTrainedModel, new_ids: Mapping[int, int]) -> None:
    """Token ids in configurations follow; those of pieces that are gone are unset."""
    settings = [model.config, getattr(model, "generation_config", None)]
    settings += [getattr(model.config, name, None) for name in ("encoder", "decoder")]
    for config in settings:
        for name, value in list(vars(config).items()) if config is not None else ():
            if name.endswith("_token_id") and value is not None:
                is_many = isinstance(value, list)
                kept = [new_ids[i] for i in (value if is_many else [value]) if i in new_ids]
                setattr(config, name, kept if is_many else next(iter(kept), None))


def _read_definition(source: Path) -> str:
    file = source / "tokenizer.json"
    if not file.is_file():
        raise ArtifactKindError(
            "this folder holds no tokenizer.json",
            where=source,
            hint="write it anew by AutoTokenizer.from_pretrained(FOLDER).save_pretrained(NEW) of "
            "transformers",
        )
    return file.read_text(encoding="utf-8")


def _write_tokenizer(source: Path, target: Path, trimmed: TrimmedTokenizer) -> None:
    for name in (*_SETTINGS, *cutter_files(source)):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    (target / "tokenizer.json").write_text(trimmed.definition, encoding="utf-8")
    file = source / "tokenizer_config.json"
    if file.is_file():
        settings: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        # Numbers of added tokens; tokenizer.json has the right ones.
        settings.pop("added_tokens_decoder", None)
        text = json.dumps(settings, indent=2, ensure_ascii=False)
        (target / file.name).write_text(text, encoding="utf-8")
