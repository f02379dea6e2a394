"""Artifacts are written whole or not at all, and never loaded when damaged."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from hunmin.core.artifact import MANIFEST_NAME, Artifact, load_artifact, write_artifact
from hunmin.core.atomic import _host, atomic_write_text, recover_folder
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    DiskFullError,
    InputError,
    MissingInputError,
)


def make(path: Path, text: str = "hello", inputs: tuple[Artifact, ...] = ()) -> Artifact:
    with write_artifact(path, "documents", recipe={"a": 1}, inputs=inputs) as draft:
        (draft.path / "sub").mkdir()
        (draft.path / "sub" / "text.txt").write_text(text, encoding="utf-8")
        draft.facts["characters"] = len(text)
    return load_artifact(path, "documents")


def test_round_trip_and_lineage(tmp_path: Path) -> None:
    parent = make(tmp_path / "a")
    child = make(tmp_path / "b", "world", inputs=(parent,))
    assert child.facts == {"characters": 5}
    assert child.manifest.recipe == {"a": 1}
    assert child.manifest.inputs[0].digest == parent.digest
    assert set(child.manifest.files) == {"sub/text.txt"}
    assert "torch" in child.manifest.versions


def test_digest_is_the_content(tmp_path: Path) -> None:
    assert make(tmp_path / "a").digest == make(tmp_path / "b").digest
    assert make(tmp_path / "a").digest != make(tmp_path / "c", "other").digest


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_artifact(tmp_path: Path, failure: type[BaseException]) -> None:
    old = make(tmp_path / "a", "old")

    def fail_half_way() -> None:
        with write_artifact(tmp_path / "a", "documents") as draft:
            (draft.path / "half").write_text("half", encoding="utf-8")
            raise failure

    with pytest.raises(failure):
        fail_half_way()
    assert load_artifact(tmp_path / "a").digest == old.digest
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_disk_full_leaves_the_old_artifact(tmp_path: Path) -> None:
    old = make(tmp_path / "a", "old")

    def fill_the_disk() -> None:
        with write_artifact(tmp_path / "a", "documents") as draft:
            (draft.path / "full").symlink_to("/dev/full")
            (draft.path / "full").write_text("x" * 100_000, encoding="utf-8")

    with pytest.raises(DiskFullError, match=r"no space left[\s\S]*next:"):
        fill_the_disk()
    assert load_artifact(tmp_path / "a").digest == old.digest
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_kill_between_the_renames_is_undone(tmp_path: Path) -> None:
    old = make(tmp_path / "a", "old")
    (tmp_path / "a").rename(tmp_path / ".a.old")
    assert load_artifact(tmp_path / "a").digest == old.digest
    make(tmp_path / "b")
    (tmp_path / ".b.old").mkdir()
    recover_folder(tmp_path / "b")
    assert not (tmp_path / ".b.old").exists()


def test_the_draft_of_a_killed_process_is_taken_away(tmp_path: Path) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    abandoned = tmp_path / f".a.tmp-{_host()}-{process.pid}-12345678"
    at_work = tmp_path / f".a.tmp-{_host()}-{os.getpid()}-12345678"
    for draft in (abandoned, at_work):
        draft.mkdir()
    make(tmp_path / "a")
    assert not abandoned.exists()
    assert at_work.exists()


def test_foreign_folders_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work", encoding="utf-8")
    with (
        pytest.raises(ArtifactKindError, match="hunmin did not write"),
        write_artifact(tmp_path / "mine", "documents"),
    ):
        pass
    assert (tmp_path / "mine" / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_artifacts_of_another_kind_are_never_replaced(tmp_path: Path) -> None:
    made = make(tmp_path / "a")
    with (
        pytest.raises(ArtifactKindError, match="a documents artifact is here; a report"),
        write_artifact(made.path, "report"),
    ):
        pass
    assert load_artifact(made.path).digest == made.digest
    (made.path / MANIFEST_NAME).write_text("{", encoding="utf-8")
    with write_artifact(made.path, "report"):
        pass


def test_nothing_takes_the_place_of_what_it_is_made_from(tmp_path: Path) -> None:
    made = make(tmp_path / "a")
    (tmp_path / "link").symlink_to(made.path)
    for path in (made.path, tmp_path / "link"):
        with pytest.raises(InputError, match="what it is made from"):
            make(path, inputs=(made,))


def test_missing_artifact_suggests_a_near_one(tmp_path: Path) -> None:
    make(tmp_path / "corpus")
    with pytest.raises(MissingInputError, match="Did you mean 'corpus'"):
        load_artifact(tmp_path / "copus")


def test_wrong_kinds_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with pytest.raises(ArtifactKindError, match=r"a tokens artifact is needed[\s\S]*documents"):
        load_artifact(tmp_path / "a", "tokens")
    with pytest.raises(ArtifactKindError, match=r"no manifest.json"):
        load_artifact(tmp_path)


def test_damage_is_found(tmp_path: Path) -> None:
    artifact = make(tmp_path / "a")
    file = artifact.path / "sub" / "text.txt"
    file.write_text("hellO", encoding="utf-8")
    assert load_artifact(artifact.path, verify=False).digest == artifact.digest
    with pytest.raises(CorruptArtifactError, match=r"text.txt: the file differs"):
        load_artifact(artifact.path)
    file.write_text("hello, longer", encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match=r"allowed: 5 bytes"):
        load_artifact(artifact.path, verify=False)
    file.unlink()
    with pytest.raises(CorruptArtifactError, match=r"given:   missing"):
        load_artifact(artifact.path)


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    artifact = make(tmp_path / "a")
    content = json.loads((artifact.path / MANIFEST_NAME).read_text(encoding="utf-8"))
    del content["kind"]
    (artifact.path / MANIFEST_NAME).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(CorruptArtifactError, match="the manifest cannot be read"):
        load_artifact(artifact.path)


def test_atomic_text_keeps_the_old_file_when_the_disk_is_full(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    atomic_write_text(path, "old")
    atomic_write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_full_disk_is_recognised_in_errors_of_other_libraries(tmp_path: Path) -> None:
    problem = (
        'Error while serializing: I/O error: Os { code: 28, message: "No space left on device" }'
    )
    with (
        pytest.raises(DiskFullError, match="no space left"),
        write_artifact(tmp_path / "a", "checkpoint"),
    ):
        raise RuntimeError(problem)
    assert not list(tmp_path.iterdir())


def test_the_folder_one_stands_in_is_an_artifact_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with write_artifact(tmp_path / "here", "documents") as draft:
        (draft.path / "a.txt").write_text("a", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "here")
    assert load_artifact(Path()).manifest.kind == "documents"
    (tmp_path / "here" / "below").mkdir()
    monkeypatch.chdir(tmp_path / "here" / "below")
    assert load_artifact(Path("..")).manifest.kind == "documents"
