"""Open a model folder: one of hunmin's artifacts or any folder in the Hugging Face layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from hunmin.core.artifact import MANIFEST_NAME, load_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
    suggest,
    suggest_folder,
)
from hunmin.data.objectives.base import Layout
from hunmin.data.objectives.kinds import a_model
from hunmin.models.architecture import (
    attention_for,
    language_model_class,
    layout_of,
)
from hunmin.models.devices import explain_out_of_memory
from hunmin.models.quiet import without_progress_bars
from hunmin.models.sequences import drop_unread_tables, unread_tables

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
        InputError: Its weights are pickles, its architecture needs code of its own, or it is no
            decoder.
        CorruptArtifactError: A file is damaged.
        OutOfMemoryError: It does not fit.
    """
    _check_folder(path)
    config = _read_config(path / "config.json")
    kind = config.get("model_type")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        near = suggest(str(kind), MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
        raise InputError(
            f"transformers has no causal language model of this kind.{near}",
            where=path / "config.json",
            given=f"model_type {kind}",
            allowed="gpt2, qwen3, llama and the others that AutoModelForCausalLM knows",
            hint="check the folder, or install a newer transformers",
        )
    model = load_language_model(path, device=device, dtype=dtype, verify=verify)
    if layout_of(model.config) is not Layout.NEXT_TOKEN:
        raise InputError(
            "this model does not say one token after the other",
            where=path,
            given=f"{type(model).__name__}, {a_model(layout_of(model.config).model_kind)}",
            allowed="a decoder such as those of the preset hunmin",
            hint="name the folder of a decoder",
        )
    return model


def load_language_model(
    path: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    verify: bool = True,
) -> PreTrainedModel:
    """Load an encoder, a decoder or an encoder-decoder with its language model head.

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
        InputError: Its weights are pickles, its architecture needs code of its own or is none of a
            language model, or weights are missing, such as those of the head.
        CorruptArtifactError: A file is damaged.
        OutOfMemoryError: It does not fit.
    """
    _check_folder(path)
    if (path / MANIFEST_NAME).is_file():
        load_artifact(path, "model", verify=verify)
    file = path / "config.json"
    found = _read_config(file)
    _refuse_code(found, file)
    if found.get("model_type") not in CONFIG_MAPPING_NAMES:
        near = suggest(str(found.get("model_type")), CONFIG_MAPPING_NAMES)
        raise InputError(
            f"transformers has no model of this kind.{near}",
            where=file,
            given=f"model_type {found.get('model_type')}",
            allowed="modernbert, xlm-roberta, qwen3, t5, mbart and the others of transformers",
            hint="check the folder, or install a newer transformers",
        )
    model_class = language_model_class(AutoConfig.from_pretrained(path, local_files_only=True))
    hint = "load a smaller model, or on another device"
    with explain_out_of_memory(hint, where=str(path)):
        settings = {"dtype": dtype, "attn_implementation": attention_for(model_class)}
        model = _from_pretrained(model_class, path, **settings)
        drop_unread_tables(model)
        return model.to(device).eval()


def _from_pretrained(model_class: Any, path: Path, **settings: Any) -> PreTrainedModel:
    try:
        with without_progress_bars():
            loaded = model_class.from_pretrained(
                path,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
                **settings,
            )
    except SafetensorError as error:
        raise CorruptArtifactError(
            "the weights cannot be read", where=path, given=str(error), hint="copy them again"
        ) from error
    model: PreTrainedModel = loaded[0]
    missing = sorted(set(loaded[1]["missing_keys"]) - unread_tables(model))
    if missing:
        raise InputError(
            "the folder has no weights for a part of the model, which would stay random",
            where=path,
            given=f"{type(model).__name__}, missing: {', '.join(missing[:6])}",
            allowed="all weights, those of the language model head too",
            hint="name a folder that was saved with its head, such as one of AutoModelForMaskedLM",
        )
    return model


def _check_folder(path: Path) -> None:
    if not path.is_dir():
        raise MissingInputError(
            f"there is no such model folder.{suggest_folder(path)}",
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


def _refuse_code(config: Mapping[str, Any], file: Path) -> None:
    if "auto_map" in config:
        raise InputError(
            "this model brings Python code of its own, and hunmin runs none from model folders",
            where=file,
            given=str(config["auto_map"]),
            allowed="architectures that transformers has itself",
        )
