"""The teacher writes text, the student learns from it: the way where their tokenizers differ.

The text becomes a documents artifact like any other, which the student's own tokenizer cuts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import PreTrainedModel

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.core.hashing import seed_from
from hunmin.core.progress import progress
from hunmin.corpus.documents import DOCUMENT_SCHEMA, SPLITS, read_documents
from hunmin.models.load import load_model
from hunmin.tokenizer.extend import known_inputs
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer

Row = Mapping[str, Any]
_COLUMNS = tuple(DOCUMENT_SCHEMA.names)
_ROWS_PER_PART = 4096


@dataclass(frozen=True)
class WritingOptions:
    """How the teacher writes.

    Args:
        prompt_tokens: Of the teacher's tokens at the beginning of a document that it goes on from.
        new_tokens: Most tokens that it writes.
        documents: Most documents that are begun; None for one for each document of the corpus.
        temperature: 1 draws from the teacher as it is; below, it says what it is surer of.
        batch_size: Documents that are written at one time.
        seed: Of the draws.
    """

    prompt_tokens: int = 16
    new_tokens: int = 128
    documents: int | None = None
    temperature: float = 1.0
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        smallest = min(self.prompt_tokens, self.new_tokens, self.batch_size)
        if smallest < 1 or self.temperature <= 0:
            raise InputError(
                "the teacher cannot write like this",
                given=self,
                allowed="at least one prompt token, new token and document, temperature above 0",
            )


def write_teacher_text(
    teacher: Path,
    corpus: Artifact,
    output: Path,
    options: WritingOptions | None = None,
    *,
    device: torch.device | str = "cpu",
) -> Artifact:
    """Let a decoder go on from the beginnings of documents, and write what it says as documents.

    Args:
        teacher: A model folder with its tokenizer; any that hunmin loads.
        corpus: Documents artifact whose train split gives the beginnings.
        output: Folder of the new documents artifact.
        options: How it writes.
        device: Where it runs.

    Returns:
        Documents with the language of their beginnings and the source "teacher". The splits for
        validation and test are those of the corpus: a student is judged by people's text.

    Raises:
        EmptyCorpusError: The corpus has no documents to begin from.
        InputError: The teacher is no decoder.

    Source:
        Kim & Rush 2016, sequence-level knowledge distillation (arXiv:1606.07947); draws instead of
        the best beam, so that the text keeps the teacher's variety.
    """
    options = options or WritingOptions()
    model = load_model(teacher, device=device)
    tokenizer = load_tokenizer(teacher)
    recipe = {"teacher": teacher.name, **asdict(options)}
    inputs = (corpus, *known_inputs(teacher))
    with write_artifact(output, "documents", recipe=recipe, inputs=inputs) as draft:
        written = _rows(model, tokenizer, corpus, options)
        draft.facts["documents"] = _write_split(draft.path / "train", written)
        if not draft.facts["documents"]:
            raise EmptyCorpusError("the corpus has no documents to begin from", where=corpus.path)
        for split in SPLITS[1:]:
            _write_split(draft.path / split, _read_rows(corpus, split))
    return load_artifact(output, "documents", verify=False)


def continue_texts(
    model: PreTrainedModel,
    tokenizer: TextTokenizer,
    texts: list[str],
    options: WritingOptions,
) -> list[str]:
    """Go on from the beginnings of texts.

    Args:
        model: A decoder in evaluation mode.
        tokenizer: Its tokenizer.
        texts: Texts; the first `prompt_tokens` tokens of each are the beginning.
        options: How.

    Returns:
        Beginning and continuation of each, up to the end that the teacher set.
    """
    prompts = [
        [tokenizer.boundary_id, *row[: options.prompt_tokens].tolist()]
        for row in tokenizer.encode_batch(texts)
    ]
    length = max(map(len, prompts))
    padded = [[tokenizer.pad_id] * (length - len(prompt)) + prompt for prompt in prompts]
    ids = torch.tensor(padded, device=model.device)
    is_text = torch.tensor(
        [[0] * (length - len(prompt)) + [1] * len(prompt) for prompt in prompts],
        device=model.device,
    )
    generate: Any = model.generate
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed_from("teacher text", options.seed, *texts) % 2**63)
        written = generate(
            input_ids=ids,
            attention_mask=is_text,
            max_new_tokens=options.new_tokens,
            do_sample=True,
            temperature=options.temperature,
            top_k=0,
            top_p=1.0,
            eos_token_id=tokenizer.boundary_id,
            pad_token_id=tokenizer.pad_id,
        )
    # The last token may end within a character.
    return [tokenizer.decode(row).rstrip("\ufffd") for row in written.tolist()]


def _rows(
    model: PreTrainedModel, tokenizer: TextTokenizer, corpus: Artifact, options: WritingOptions
) -> Iterator[Row]:
    rows = islice(_read_rows(corpus, "train"), options.documents)
    with progress("teacher writes", total=options.documents, unit="documents") as bar:
        while batch := list(islice(rows, options.batch_size)):
            texts = continue_texts(model, tokenizer, [row["text"] for row in batch], options)
            for row, text in zip(batch, texts, strict=True):
                if text.strip():
                    yield _document(row, text)
            bar.advance(len(batch))


def _document(begun: Row, text: str) -> Row:
    identity = sha256(f"teacher/{begun['language']}/{text}".encode()).hexdigest()[:32]
    return {**begun, "id": identity, "text": text, "source": "teacher", "group": begun["id"]}


def _read_rows(corpus: Artifact, split: Any) -> Iterator[Row]:
    if not (corpus.path / split).is_dir():
        return
    for batch in read_documents(corpus, split):
        for row in batch.to_pylist():
            yield {"copies": 1, **row}


def _write_split(folder: Path, rows: Iterator[Row]) -> int:
    folder.mkdir(parents=True)
    total = part = 0
    while batch := list(islice(rows, _ROWS_PER_PART)):
        named = [{name: row[name] for name in _COLUMNS} for row in batch]
        table = pa.Table.from_pylist(named, schema=DOCUMENT_SCHEMA)
        pq.write_table(table, folder / f"part-{part:05d}.parquet", compression="zstd")
        total, part = total + len(batch), part + 1
    return total
