import errno
import os

import pytest

from minigen.errors import TrainingError, UserError
from minigen.files import atomic_write, remove_leftovers


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_whole_content_is_replaced(tmp_path):
    path = tmp_path / "x.txt"
    atomic_write(path, b"a longer first version")
    atomic_write(str(path), b"sec", memoryview(b"ond"))
    assert path.read_bytes() == b"second"
    assert names(tmp_path) == ["x.txt"]


def test_the_bytes_are_on_the_disk_before_the_name_points_to_them(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (calls.append("fsync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda old, new: (calls.append("replace"), replace(old, new)))
    atomic_write(tmp_path / "x", b"1")
    assert calls[:2] == ["fsync", "replace"]
    assert calls[2:] == (["fsync"] if os.name == "posix" else [])  # the folder


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_an_interruption_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch, call):
    path = tmp_path / "x"
    atomic_write(path, b"old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, call, interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_a_path_that_cannot_be_written_is_a_mistake_and_a_full_disk_is_not(tmp_path, monkeypatch):
    for path in (tmp_path / "missing" / "x.png", tmp_path):
        with pytest.raises(UserError, match="Cannot write"):
            atomic_write(path, b"1")
    assert names(tmp_path) == []

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"x\.png \(No space left on device\)"):
        atomic_write(tmp_path / "x.png", b"1")
    assert names(tmp_path) == []


def test_only_our_temporary_files_are_leftovers(tmp_path):
    for name in (".x.png.12.tmp", "notes.tmp", ".hidden", "x.png"):
        (tmp_path / name).write_bytes(b"")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".hidden", "notes.tmp", "x.png"]
