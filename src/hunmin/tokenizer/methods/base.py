"""What every training method gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tokenizers import Tokenizer

from hunmin.core.artifact import Artifact
from hunmin.core.progress import progress
from hunmin.text.segmentation.boundaries import Analyser
from hunmin.tokenizer.sample import Sample, SampledTexts, read_sample
from hunmin.tokenizer.spec import TokenizerSpec


@dataclass(frozen=True)
class TrainingTask:
    """A tokenizer to train.

    Args:
        spec: What the recipe says.
        documents: A documents artifact.
        sample: Which of its text to train on.
        facts: What a method wants to have recorded in the manifest; `characters` are the entries
            that are characters, where they are given and not learned.
        files: What a method wants to have written beside tokenizer.json, by relative path.
        analysers: Analysers of morphemes opened so far, by language tag.
    """

    spec: TokenizerSpec
    documents: Artifact
    sample: Sample
    facts: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    analysers: dict[str, Analyser] = field(default_factory=dict)

    def batches(self, title: str = "reading text") -> Iterator[SampledTexts]:
        """Read the sample, with a progress bar in bytes that has this title."""
        with progress(title, total=self.sample.total_bytes, unit="B") as bar:
            for batch in read_sample(self.documents, self.sample):
                yield batch
                bar.advance(sum(len(text.encode()) for text in batch.texts))

    def texts(self, title: str = "reading text") -> Iterator[list[str]]:
        """Read the sample without its languages, with a progress bar in bytes."""
        return (batch.texts for batch in self.batches(title))


Method = Callable[[TrainingTask], Tokenizer]
