"""The tokenizer of somebody else's model folder as an artifact that stages can use."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.artifact import Artifact, check_output, load_artifact, write_artifact
from hunmin.tokenizer.extend import known_inputs
from hunmin.tokenizer.load import copy_tokenizer, load_tokenizer


def import_tokenizer(source: Path, output: Path) -> Artifact:
    """Write the tokenizer of a folder as an artifact.

    Args:
        source: Folder with tokenizer.json in the Hugging Face layout, usually of a model.
        output: Folder of the artifact.

    Returns:
        The artifact, of kind tokenizer. Its files are those of the folder, byte for byte.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It holds no tokenizer, or one whose entries do not stand for bytes.
        InputError: The output is something else already.
    """
    tokenizer = load_tokenizer(source)
    inputs = known_inputs(source)
    check_output(output, "tokenizer", inputs)
    recipe = {"import": tokenizer.digest}
    with write_artifact(output, "tokenizer", recipe=recipe, inputs=inputs) as draft:
        copy_tokenizer(source, draft.path)
        draft.facts.update(vocab_size=tokenizer.size, digest=tokenizer.digest, kind="imported")
    return load_artifact(output, "tokenizer", verify=False)
