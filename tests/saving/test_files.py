"""Files that are whole or not there: every fault of the system is tried at every call."""

import errno
import os
import stat
from pathlib import Path

import pytest

from ppo_np.saving import files
from ppo_np.saving.files import AppendFile, remove_temporary, write_whole

OLD, NEW = b"old" * 1000, b"new" * 2000


class Faulty:
    """The os module, of which one call fails.

    Args:
        call: name of the function. nth: which of its calls fails, from 1 on. code: of the OSError.
    """

    def __init__(self, call, nth=1, code=errno.ENOSPC):
        self.calls, self._fail = [], (call, nth, code)

    def __getattr__(self, name):
        function = getattr(os, name)
        if not callable(function) or isinstance(function, type):
            return function

        def called(*arguments, **options):
            self.calls.append(name)
            call, nth, code = self._fail
            if name == call and self.calls.count(name) == nth:
                raise OSError(code, os.strerror(code))
            return function(*arguments, **options)

        return called


def calls_of_a_write(tmp_path, monkeypatch):
    """Every call that `write_whole` makes, with how many times before it was made."""
    recorder = Faulty("nothing")
    monkeypatch.setattr(files, "os", recorder)
    for _ in range(2):
        write_whole(tmp_path / "x", NEW, previous=tmp_path / "x.prev")
        calls, recorder.calls = recorder.calls, []
    monkeypatch.setattr(files, "os", os)
    names = [name for name in calls if name != "getpid"]
    return [(name, names[: i + 1].count(name)) for i, name in enumerate(names)]


def test_the_file_and_the_one_before_it(tmp_path):
    path, previous, seen = tmp_path / "x", tmp_path / "x.prev", []
    for data in (OLD, NEW, OLD):
        write_whole(path, data, seen.append, previous)
    assert (path.read_bytes(), previous.read_bytes(), seen) == (OLD, NEW, [OLD, NEW, OLD])
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x", "x.prev"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 & ~os.umask(os.umask(0))


def test_a_fault_at_any_call_leaves_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    path, previous = tmp_path / "x", tmp_path / "x.prev"
    calls = calls_of_a_write(tmp_path, monkeypatch)
    assert {"open", "write", "fsync", "close", "link", "replace"} <= {name for name, _ in calls}
    for name, nth in calls:
        monkeypatch.setattr(files, "os", os)
        write_whole(path, b"older")
        write_whole(path, OLD, previous=previous)
        monkeypatch.setattr(files, "os", Faulty(name, nth))
        try:
            write_whole(path, NEW, previous=previous)
        except OSError as error:
            assert error.errno == errno.ENOSPC
            # After the name is taken, only the folder's fsync is left to fail.
            taken = (name, nth) in (("open", 2), ("fsync", 2), ("close", 2))
            assert path.read_bytes() == (NEW if taken else OLD)
        else:
            assert name in ("link", "unlink"), f"{name} failed without a word"
            assert path.read_bytes() == NEW
        assert previous.read_bytes() in (b"older", OLD)
        monkeypatch.setattr(files, "os", os)
        remove_temporary(tmp_path)
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x", "x.prev"]


def test_where_files_cannot_have_two_names_the_old_one_is_renamed(tmp_path, monkeypatch):
    path, previous = tmp_path / "x", tmp_path / "x.prev"
    write_whole(path, OLD)
    monkeypatch.setattr(files, "os", Faulty("link", code=errno.EPERM))
    write_whole(path, NEW, previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (NEW, OLD)


def test_a_kill_between_the_two_names_does_no_harm(tmp_path):
    """Both names then stand for one file, and renaming one of them into the other does nothing."""
    path, previous = tmp_path / "x", tmp_path / "x.prev"
    write_whole(path, OLD)
    os.link(path, previous)
    write_whole(path, NEW, previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (NEW, OLD)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["x", "x.prev"]


def test_what_comes_back_different_is_not_kept(tmp_path):
    path = tmp_path / "x"
    write_whole(path, OLD)

    def refuse(data):
        raise OSError("not what was written")

    with pytest.raises(OSError, match="not what was written"):
        write_whole(path, NEW, refuse)
    assert path.read_bytes() == OLD
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_write_in_small_pieces_is_whole(tmp_path, monkeypatch):
    class Slow(Faulty):
        def write(self, descriptor, data):
            return os.write(descriptor, bytes(data[:7]))

    monkeypatch.setattr(files, "os", Slow("nothing"))
    write_whole(tmp_path / "x", NEW)
    assert (tmp_path / "x").read_bytes() == NEW


def test_what_a_kill_has_left_is_removed_and_nothing_else(tmp_path):
    for name in (".x.h5.123.tmp", ".lock", "notes.tmp", "x.h5"):
        (tmp_path / name).write_text("")
    remove_temporary(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", "notes.tmp", "x.h5"]


def test_records_are_whole_and_kept_while_the_disk_is_full(tmp_path, monkeypatch):
    file = AppendFile(tmp_path / "x")
    file.append(b"one\n")

    class Full(Faulty):
        """Room for two more bytes."""

        def write(self, descriptor, data):
            if len(data) <= 2:
                raise OSError(errno.ENOSPC, "full")
            return os.write(descriptor, bytes(data[:2]))

    monkeypatch.setattr(files, "os", Full("nothing"))
    for record in (b"two\n", b"three\n"):
        with pytest.raises(OSError, match="full"):
            file.append(record)
        assert file.path.read_bytes() == b"one\n"
    monkeypatch.setattr(files, "os", os)
    file.append(b"four\n")
    assert file.path.read_bytes() == b"one\ntwo\nthree\nfour\n"
    file.sync()
    assert file.path.read_bytes() == b"one\ntwo\nthree\nfour\n"


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["deleted", "emptied"])
def test_a_file_that_has_gone_is_begun_anew_with_its_head(tmp_path, harm):
    file = AppendFile(tmp_path / "x", b"head\n")
    file.append(b"one\n")
    assert file.path.read_bytes() == b"head\none\n"
    harm(file.path)
    file.append(b"two\n")
    assert file.path.read_bytes() == b"head\ntwo\n"
    harm(file.path)
    file.sync()
    file.append(b"three\n")
    assert file.path.read_bytes() == b"head\nthree\n"


def test_a_file_whose_folder_has_gone_waits_for_it(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    file = AppendFile(folder / "x", b"head\n")
    folder.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        file.append(b"one\n")
    assert not folder.exists()
    (tmp_path / "away").rename(folder)
    file.sync()
    assert file.path.read_bytes() == b"head\none\n"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_where_a_folder_cannot_be_forced_to_disk_files_are_written_all_the_same(tmp_path, monkeypatch, code):
    path = tmp_path / "x"
    assert files.sync_folder(tmp_path)
    monkeypatch.setattr(files, "os", Faulty("fsync", nth=2, code=code))  # the first one is of the file
    write_whole(path, NEW)
    assert path.read_bytes() == NEW
    monkeypatch.setattr(files, "os", Faulty("fsync", code=code))
    assert not files.sync_folder(tmp_path)
    monkeypatch.setattr(files, "os", Faulty("fsync", code=code))
    with pytest.raises(OSError, match=os.strerror(code)):
        write_whole(path, OLD)
    assert path.read_bytes() == NEW
