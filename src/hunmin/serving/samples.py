"""The generate stage: texts a finished model writes, in several languages, to be read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.documents import read_documents
from hunmin.models.devices import pick_device
from hunmin.models.load import load_model
from hunmin.serving.engine import Engine
from hunmin.serving.samples_spec import GenerateSpec, PromptSpec
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer

SAMPLES_NAME = "samples.jsonl"
MAX_DOCUMENTS_READ = 20_000


@dataclass(frozen=True)
class WrittenText:
    """A prompt and how the model went on.

    Args:
        language: BCP 47 tag of the prompt.
        prompt: The given beginning.
        text: What the model wrote.
        finish_reason: "stop" at the end of the text, "length" at the limit.
    """

    language: str
    prompt: str
    text: str
    finish_reason: str


def write_samples(
    spec: GenerateSpec,
    model: Artifact,
    documents: Artifact,
    output: Path,
    *,
    recipe: Mapping[str, Any] | None = None,
) -> Artifact:
    """Let a model write on from prompts and keep what it wrote.

    Args:
        spec: Prompts and how tokens are chosen.
        model: The model artifact.
        documents: Where prompts come from if the recipe names none.
        output: Where the samples artifact goes.
        recipe: Recorded in the manifest.

    Returns:
        The samples artifact: samples.jsonl and README.md.

    Raises:
        EmptyCorpusError: Prompts are to be taken from held-out documents and there are none.
    """
    tokenizer = load_tokenizer(model.path)
    with Engine(load_model(model.path, device=pick_device()), tokenizer) as engine:
        max_tokens = engine.context // 2
        prompts = spec.prompts or tuple(
            prompt.model_copy(update={"text": shorten(prompt.text, tokenizer, max_tokens)})
            for prompt in held_out_prompts(spec, documents)
        )
        answers = engine.generate(
            [prompt.text for prompt in prompts], spec.sampling, num_samples=spec.num_samples
        )
    texts = [
        WrittenText(prompt.language, prompt.text, answer.text, answer.finish_reason)
        for answer in answers
        for prompt in [prompts[answer.index // spec.num_samples]]
    ]
    with write_artifact(output, "samples", recipe=recipe, inputs=(model, documents)) as draft:
        lines = [json.dumps(asdict(text), ensure_ascii=False) for text in texts]
        (draft.path / SAMPLES_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")
        (draft.path / "README.md").write_text(_as_markdown(texts), encoding="utf-8")
        draft.facts["num_texts"] = len(texts)
    return load_artifact(output, "samples", verify=False)


def read_samples(artifact: Artifact) -> list[WrittenText]:
    """Return the texts of a samples artifact."""
    lines = (artifact.path / SAMPLES_NAME).read_text(encoding="utf-8").splitlines()
    return [WrittenText(**json.loads(line)) for line in lines]


def held_out_prompts(spec: GenerateSpec, documents: Artifact) -> tuple[PromptSpec, ...]:
    """Take the first words of one held-out document for each of the largest languages.

    Args:
        spec: How many languages and words.
        documents: A documents artifact.

    Returns:
        Prompts, largest language first.

    Raises:
        EmptyCorpusError: There are no held-out documents.
    """
    sizes: Counter[str] = Counter()
    first: dict[str, str] = {}
    rows = (
        row
        for batch in read_documents(documents, "validation", ("language", "text"))
        for row in batch.to_pylist()
    )
    for row in islice(rows, MAX_DOCUMENTS_READ):
        sizes[row["language"]] += 1
        first.setdefault(row["language"], row["text"])
    if not sizes:
        raise EmptyCorpusError(
            "there are no held-out documents to take prompts from",
            where=documents.path,
            hint="raise corpus.validation_fraction, or name generate.prompts in the recipe",
        )
    return tuple(
        PromptSpec(language=language, text=first_words(first[language], spec.prompt_words))
        for language, _ in sizes.most_common(spec.num_languages)
    )


def first_words(text: str, num_words: int) -> str:
    """Return the first words of a text, or a third of it where it has no more words than that."""
    line = text.strip().splitlines()[0]
    words = line.split()
    if len(words) > num_words:
        return " ".join(words[:num_words])
    return line[: max(1, len(line) // 3)]


def shorten(text: str, tokenizer: TextTokenizer, max_tokens: int) -> str:
    """Cut characters off the end of a text until it has at most so many tokens."""
    while len(tokenizer.encode(text)) > max_tokens:
        text = text[:-1]
    return text


def _as_markdown(texts: Sequence[WrittenText]) -> str:
    lines = ["# Written by the model", "", "The **beginning** was given.", ""]
    lines += [f"- `{text.language}` **{text.prompt}**{text.text}" for text in texts]
    return "\n".join(lines) + "\n"
