"""The reference job's input: real Korean documents with planted copies, and the truth about them.

Technical manuals, petitions and pages of 35 reviews of one film, 8 JSONL files of about 120 MB.
Planted are exact copies, copies in NFD, with edited words (0.5 to 10 %), with a part of the spaces
lost, and between lines of a page's frame. The truth is the exact Jaccard similarity of word 5-grams
over all pairs that share a 5-gram which stands in at most 300 documents. A second truth, by runs of
15 characters without spaces, tells whether two texts are alike but for their spaces.

    python benchmarks/corpus_reference.py --folder runs/corpus-reference
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zstandard

import hunmin
from hunmin.core.hashing import hash_sources, seed_from
from hunmin.corpus.dedup.planting import (
    Change,
    decomposed,
    edited,
    exact,
    padded,
    spaces_lost,
)
from hunmin.corpus.dedup.shingles import Unit, shingle
from hunmin.corpus.dedup.truth import SimilarPairs, exact_pairs

DATA = Path("../shared/data")
FOLDER = Path("runs/corpus-reference")
NUM_FILES = 8
REVIEWS_PER_PAGE = 35
# A copy of a text of fewer words can come out of an edit of 0.5 % of them unchanged.
MIN_WORDS = 200
MIN_JACCARD = 0.5
FORMAT = 2

KINDS: dict[str, tuple[Change, int]] = {
    "exact": (exact, 800),
    "NFD": (decomposed, 400),
    **{f"{share:g} % edited": (edited(share / 100), 400) for share in (0.5, 1, 2, 3, 5, 10)},
    "3 % of spaces lost": (spaces_lost(0.03), 400),
    "page frame added": (padded, 400),
}
"""What becomes of a copy, and how many there are at full size."""


@dataclass(frozen=True)
class ReferenceJob:
    """The input on disk.

    Args:
        folder: Where it lies.
    """

    folder: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Counts, sizes and options."""
        facts: dict[str, Any] = json.loads((self.folder / "facts.json").read_text("utf-8"))
        return facts

    @property
    def input(self) -> Path:
        """Folder of the JSONL files: `id` and `text`."""
        return self.folder / "input"

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the documents, in the order that the pairs count in."""
        ids: list[str] = json.loads((self.folder / "ids.json").read_text("utf-8"))
        return ids

    @cached_property
    def copies(self) -> list[dict[str, str]]:
        """The planted copies: `id`, `origin` and `kind`."""
        copies: list[dict[str, str]] = json.loads((self.folder / "copies.json").read_text("utf-8"))
        return copies

    def pairs(self, unit: Unit) -> SimilarPairs:
        """Return all pairs of Jaccard similarity 0.5 and more, rows counted as in `ids`."""
        with np.load(self.folder / f"pairs-{unit}.npz", allow_pickle=False) as arrays:
            return SimilarPairs(**{name: arrays[name] for name in arrays.files})


def reference_job(data: Path, folder: Path, *, scale: float = 1.0, seed: int = 0) -> ReferenceJob:
    """Make the input, unless it is there.

    Args:
        data: The folder of real data.
        folder: Where it goes.
        scale: Share of the documents and copies to take, in (0, 1].
        seed: Another seed copies other documents.

    Returns:
        The input, the same for the same arguments.
    """
    options = {"scale": scale, "seed": seed, "format": FORMAT}
    job = ReferenceJob(folder)
    if (folder / "facts.json").is_file() and job.facts["options"] == options:
        return job
    real = (row for row in read_documents(data) if row["text"].strip())
    documents = [row for row in real if _share_of(row["id"]) < scale]
    copies = plant(documents, scale=scale, seed=seed)
    rows = [*documents, *copies]
    random.Random(seed_from("reference order", seed)).shuffle(rows)
    job.input.mkdir(parents=True, exist_ok=True)
    _write_input(rows, job.input)
    named = [{name: copy[name] for name in ("id", "origin", "kind")} for copy in copies]
    _write_json(folder / "copies.json", named)
    _write_json(folder / "ids.json", [row["id"] for row in rows])
    counts = _write_truth(rows, folder)
    facts = {
        "options": options,
        "documents": len(rows),
        "copies": len(copies),
        "utf8_bytes": sum(len(row["text"].encode()) for row in rows),
        "jsonl_bytes": sum(path.stat().st_size for path in job.input.iterdir()),
        "pairs": counts,
    }
    _write_json(folder / "facts.json", facts)
    return ReferenceJob(folder)


def code_of_corpus() -> str:
    """Return a hash of the code that builds corpora."""
    package = Path(hunmin.__file__).parent
    return hash_sources([package / name for name in ("core", "text", "corpus")])


def build_command(recipe: dict[str, Any], folder: Path) -> list[str]:
    """Return what builds a corpus with hunmin.

    Args:
        recipe: The recipe; it is written into the folder.
        folder: Takes recipe and result; it must exist.

    Returns:
        The words of the command. The documents come to lie in FOLDER/run/corpus.
    """
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe, ensure_ascii=False), encoding="utf-8")
    program = [sys.executable, "-m", "hunmin", "corpus", "build", str(path)]
    return [*program, "--run-dir", str(folder / "run")]


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a .jsonl.zst file."""
    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as file:
        for line in TextIOWrapper(file, encoding="utf-8"):
            yield json.loads(line)


def read_documents(data: Path) -> Iterator[dict[str, str]]:
    """Yield `id`, `text` and `source` of the real documents."""
    for path in sorted((data / "ko_docs").glob("*.jsonl.zst")):
        name = path.name.partition(".")[0]
        for row in read_jsonl(path):
            yield {"id": f"{name}/{row['path']}", "text": row["text"], "source": "documents"}
    for path in sorted((data / "ko_petitions").glob("*.jsonl.zst")):
        for row in read_jsonl(path):
            name = f"petitions/{row['petition_idx']}"
            yield {"id": name, "text": row["content"], "source": "petitions"}
    yield from read_film_pages(data)


def read_film_pages(data: Path) -> Iterator[dict[str, str]]:
    """Yield pages of 35 reviews of one film; what is left of a film's reviews is not used."""
    films: dict[str, list[str]] = defaultdict(list)
    for row in read_jsonl(data / "nsmc" / "reviews.jsonl.zst"):
        films[row["movie_id"]].append(row["document"])
    for film, reviews in films.items():
        for page in range(len(reviews) // REVIEWS_PER_PAGE):
            first = page * REVIEWS_PER_PAGE
            text = "\n".join(reviews[first : first + REVIEWS_PER_PAGE])
            yield {"id": f"films/{film}/{page}", "text": text, "source": "films"}


def plant(documents: list[dict[str, str]], *, scale: float, seed: int) -> list[dict[str, str]]:
    """Return changed copies of documents: `id`, `text`, `source`, `origin` and `kind`."""
    long = sorted(
        (row for row in documents if row["text"].count(" ") >= MIN_WORDS),
        key=lambda row: row["id"],
    )
    copies: list[dict[str, str]] = []
    for kind, (change, count) in KINDS.items():
        wanted = min(len(long), max(1, round(count * scale)))
        for row in random.Random(seed_from("plant", seed, kind)).sample(long, wanted):
            draw = random.Random(seed_from("copy", seed, kind, row["id"]))
            names = {"id": f"{row['id']}#{kind}", "origin": row["id"], "kind": kind}
            copies.append({**row, **names, "text": change(row["text"], draw)})
    return copies


def _share_of(name: str) -> float:
    """A number in [0, 1) that a name alone decides."""
    return seed_from("reference sample", name) / 2.0**64


def _write_input(rows: list[dict[str, str]], folder: Path) -> None:
    size = -(-len(rows) // NUM_FILES)
    for number in range(NUM_FILES):
        part = rows[number * size : (number + 1) * size]
        lines = [
            json.dumps({"id": row["id"], "text": row["text"]}, ensure_ascii=False) for row in part
        ]
        text = "\n".join([*lines, ""])
        (folder / f"{number:02}.jsonl").write_text(text, encoding="utf-8")


def _write_truth(rows: list[dict[str, str]], folder: Path) -> dict[str, dict[str, int]]:
    texts = pa.array([unicodedata.normalize("NFC", row["text"]) for row in rows], pa.string())
    counts: dict[str, dict[str, int]] = {}
    units: tuple[Unit, ...] = ("words", "characters")
    for unit in units:
        pairs = exact_pairs(shingle(texts, [unit] * len(rows)), minimum=MIN_JACCARD)
        np.savez(folder / f"pairs-{unit}.npz", **dataclasses.asdict(pairs))
        counts[unit] = {
            f"J >= {least}": int((pairs.jaccard >= least).sum()) for least in (0.5, 0.7, 0.8)
        }
    return counts


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")


def main() -> None:
    """Make the input and print its facts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    job = reference_job(options.data, options.folder, scale=options.scale)
    print(json.dumps(job.facts, indent=1))


if __name__ == "__main__":
    main()
