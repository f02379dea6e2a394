"""Open a model folder: one of hunmin's artifacts or any folder in the Hugging Face layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from hunmin.core.artifact import MANIFEST_NAME, load_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
    suggest,
)
from hunmin.models.devices import explain_out_of_memory
from hunmin.models.quiet import without_progress_bars

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def load_unchanged(path: Path) -> PreTrainedModel:
    """Load a model of any kind in the type of its weights, to change it and save it again.

    Args:
        path: Folder with config.json, which names the model's class, and safetensors.

    Returns:
        The model on the CPU in evaluation mode.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: The folder holds no model.
        InputError: Its weights are pickles, or its architecture is not one of transformers.
        CorruptArtifactError: A file is damaged.
    """
    _check_folder(path)
    if (path / MANIFEST_NAME).is_file():
        load_artifact(path, "model")
    file = path / "config.json"
    config = _read_config(file)
    _refuse_code(config, file)
    names = config.get("architectures") or []
    model_class = getattr(transformers, str(names[0]), None) if names else None
    # A name from a file: nothing but a model may be called.
    if not (isinstance(model_class, type) and issubclass(model_class, PreTrainedModel)):
        raise InputError(
            "transformers has no model class of this name",
            where=file,
            given=f"architectures {names}",
            hint="check the folder, or install a newer transformers",
        )
    return _from_pretrained(model_class, path, dtype="auto").eval()


def load_model(
    path: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    verify: bool = True,
) -> PreTrainedModel:
    """Load a causal language model for evaluation and generation.

    Args:
        path: Folder with config.json and safetensors.
        device: Where it shall lie.
        dtype: Type of the weights.
        verify: Compare the checksums of an artifact first.

    Returns:
        The model in evaluation mode.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: The folder holds no model.
        InputError: Its weights are pickles, or its architecture needs code of its own.
        CorruptArtifactError: A file is damaged.
        OutOfMemoryError: It does not fit.
    """
    _check_folder(path)
    if (path / MANIFEST_NAME).is_file():
        load_artifact(path, "model", verify=verify)
    _check_config(path / "config.json")
    hint = "load a smaller model, or on another device"
    with explain_out_of_memory(hint, where=str(path)):
        model = _from_pretrained(
            AutoModelForCausalLM, path, dtype=dtype, attn_implementation="sdpa"
        )
        return model.to(device).eval()


def _from_pretrained(model_class: Any, path: Path, **settings: Any) -> PreTrainedModel:
    try:
        with without_progress_bars():
            model: PreTrainedModel = model_class.from_pretrained(
                path,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                **settings,
            )
            return model
    except SafetensorError as error:
        raise CorruptArtifactError(
            "the weights cannot be read", where=path, given=str(error), hint="copy them again"
        ) from error


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise MissingInputError(
            f"there is no such model folder.{suggest(path.name, siblings)}",
            where=path,
            hint="train one with `hunmin run RECIPE`, or name a Hugging Face folder",
        )
    if not (path / "config.json").is_file():
        raise ArtifactKindError(
            "this folder holds no model (no config.json)",
            where=path,
            hint="name the folder of a model, such as runs/quickstart/model",
        )
    if any(path.glob("*.safetensors")):
        return
    pickles = sorted(file.name for pattern in _PICKLES for file in path.glob(pattern))
    raise InputError(
        "the weights are pickles, which can run any code when opened"
        if pickles
        else "this folder holds no weights",
        where=path,
        given=", ".join(pickles) or "config.json alone",
        allowed="model.safetensors",
        hint="convert them where you trust them: model.save_pretrained(folder) of transformers",
    )


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise CorruptArtifactError(
            "the configuration cannot be read", where=file, given=str(error), hint="copy it again"
        ) from error
    return config


def _check_config(file: Path) -> None:
    config = _read_config(file)
    kind = config.get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        near = suggest(str(kind), MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        raise InputError(
            f"transformers has no causal language model of this kind.{near}",
            where=file,
            given=f"model_type {kind}",
            allowed="gpt2, qwen3, llama and the others that AutoModelForCausalLM knows",
            hint="check the folder, or install a newer transformers",
        )
    _refuse_code(config, file)


def _refuse_code(config: Mapping[str, Any], file: Path) -> None:
    if "auto_map" in config:
        raise InputError(
            "this model brings Python code of its own, and hunmin runs none from model folders",
            where=file,
            given=str(config["auto_map"]),
            allowed="architectures that transformers has itself",
        )
