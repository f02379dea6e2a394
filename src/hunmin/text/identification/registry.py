"""The classifiers by name."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.errors import InputError, suggest
from hunmin.text.identification.classifier import Classifier
from hunmin.text.identification.cld2 import Cld2
from hunmin.text.identification.fasttext import FastText
from hunmin.text.identification.naive_bayes import Py3LangId

CLASSIFIERS = ("py3langid", "pycld2", "fasttext")
DEFAULT_CLASSIFIER = "py3langid"


def load_classifier(name: str = DEFAULT_CLASSIFIER, *, path: Path | None = None) -> Classifier:
    """Return a classifier.

    Args:
        name: `py3langid` (the default), `pycld2` (loads at once, a third of the memory, takes more
            unknown languages for English), or `fasttext` with a model such as GlotLID.
        path: The model, for `fasttext` only.

    Returns:
        The classifier. It can be pickled; models are loaded with the first text.

    Raises:
        InputError: No such classifier, or a file too many or too few.
        MissingExtraError: Its package is not installed.
        MissingInputError: There is no such file.
    """
    if name not in CLASSIFIERS:
        raise InputError(
            f"there is no such language classifier.{suggest(name, CLASSIFIERS)}",
            given=name,
            allowed=", ".join(CLASSIFIERS),
        )
    if (path is not None) != (name == "fasttext"):
        problem = "takes no model file" if path is not None else "needs a model file"
        raise InputError(
            f"the language classifier '{name}' {problem}",
            given=path,
            allowed="a path for fasttext only",
        )
    if name == "fasttext" and path is not None:
        return FastText(path)
    return Cld2() if name == "pycld2" else Py3LangId()
