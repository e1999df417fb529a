"""Checkpoints in the file system: permissions, links, folders, and places that cannot be written."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from processes import environment

from fastnn import Checkpoint
from fastnn.reference import Network, train

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")


def write(path, epochs=3, **settings):
    """Train, and return the network and how many epochs it took to fail."""
    net, seen = Network([2, 3, 1], seed=0), []
    try:
        callbacks = [lambda *_: seen.append(1), Checkpoint(path, **settings)]
        train(net, np.ones((2, 4)), np.ones((1, 4)), epochs=epochs, callbacks=callbacks)
    except OSError as error:
        return error, len(seen)
    return net, len(seen)


def holds(path, net, epoch=3):
    twin = Network([2, 3, 1], seed=1)
    return Checkpoint.load(path, twin) == epoch and twin.vector.tobytes() == net.vector.tobytes()


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o664, 0o666, 0o400, 0o444, 0o700, 0o755])
def test_a_file_keeps_its_permissions(mode, tmp_path):
    path = tmp_path / "net.npz"
    path.touch()
    path.chmod(mode)
    net, _ = write(path)
    assert mode_of(path) == mode
    assert os.listdir(tmp_path) == ["net.npz"]
    if not mode & 0o400:
        path.chmod(0o600)
    assert holds(path, net)


@posix
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002, 0])
def test_a_new_file_has_the_permissions_that_the_umask_leaves(umask, tmp_path):
    before = os.umask(umask)
    try:
        write(tmp_path / "{epoch}.npz")
    finally:
        os.umask(before)
    assert {mode_of(tmp_path / f"{epoch}.npz") for epoch in (1, 2, 3)} == {0o666 & ~umask}


@posix
def test_what_is_being_written_is_not_more_open_than_the_file(tmp_path, monkeypatch):
    path, seen = tmp_path / "net.npz", []
    path.touch()
    path.chmod(0o600)
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (seen.append(stat.S_IMODE(os.fstat(fd).st_mode)), fsync(fd)))
    write(path)
    assert seen == [0o600] * 3


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "net.npz"
    path.touch()
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    write(path)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o640)


@posix
@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("pattern", ["net.npz", "net{epoch}.npz"])
def test_links_lead_to_the_file(exists, pattern, tmp_path):
    """A relative link, to a link, to a file elsewhere, which may not be there yet, nor its folder."""
    elsewhere = tmp_path / "elsewhere"
    if exists:
        elsewhere.mkdir()
        for epoch in (1, 2, 3):
            (elsewhere / f"kept{epoch}").touch(mode=0o600)
    here = tmp_path / "here"
    here.mkdir()
    names = [pattern.format(epoch=epoch) for epoch in (1, 2, 3)]
    for epoch, name in enumerate(names, start=1):
        if not (here / name).is_symlink():
            (here / name).symlink_to(f"../between{epoch}")
            (tmp_path / f"between{epoch}").symlink_to(elsewhere / f"kept{epoch}")
    net, _ = write(here / pattern)
    assert (here / names[-1]).is_symlink()
    assert (tmp_path / f"between{len(set(names))}").is_symlink()
    kept = elsewhere / f"kept{len(set(names))}"
    assert not kept.is_symlink()
    assert holds(kept, net)
    assert holds(here / names[-1], net)
    assert not exists or mode_of(kept) == 0o600
    assert all(file.name.startswith("kept") for file in elsewhere.iterdir())


def fails_at_once(path, message, **settings):
    error, epochs = write(path, **settings)
    assert isinstance(error, OSError), error
    assert epochs == 0
    assert message in str(error)


@pytest.mark.parametrize("pattern", ["net", "net{epoch}", "{epoch:03d}/net"])
def test_a_folder_is_seen_before_the_first_epoch(pattern, tmp_path):
    folder = Path(str(tmp_path / pattern).format(epoch=2))
    folder.mkdir(parents=True)
    fails_at_once(tmp_path / pattern, f"path must be a file, got the folder '{folder}'", every=2)
    assert list(folder.iterdir()) == []


@posix
def test_what_is_no_file_is_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    fails_at_once(pipe, f"path must be a file, got '{pipe}', which is none")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    (tmp_path / "to pipe").symlink_to(pipe)
    fails_at_once(tmp_path / "to pipe", "which is none")
    (tmp_path / "link").symlink_to(tmp_path)
    fails_at_once(tmp_path / "link", "path must be a file, got the folder")


@posix
def test_links_in_a_circle(tmp_path):
    for one, other in (("a", "b"), ("b", "a"), ("self", "self")):
        (tmp_path / one).symlink_to(tmp_path / other)
    for name in ("a", "self", "a/net.npz"):
        fails_at_once(tmp_path / name, name)
    assert sorted(os.listdir(tmp_path)) == ["a", "b", "self"]


def test_names_that_are_too_long(tmp_path):
    fails_at_once(tmp_path / ("n" * 300), "nnn")
    # Where the name itself would do, but not that of the file that is written beside it.
    fails_at_once(tmp_path / ("n" * 250), "nnn")
    assert os.listdir(tmp_path) == []


AS_NOBODY = """
import os, sys
import numpy as np
from fastnn import Checkpoint
from fastnn.reference import Network, Trainer
trainer = Trainer(Network([2, 3, 1], seed=0), seed=0)
trainer.fit(np.ones((2, 4)), np.ones((1, 4)), epochs=1)  # loads what may be unreadable later
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
seen = []
callbacks = [lambda *_: seen.append(1), Checkpoint(sys.argv[1])]
try:
    trainer.fit(np.ones((2, 4)), np.ones((1, 4)), epochs=3, callbacks=callbacks)
except OSError as error:
    print(type(error).__name__, len(seen))
else:
    print("written", len(seen))
"""


@pytest.fixture
def open_path():
    """A folder that anybody may come to, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@posix
def test_a_folder_that_may_not_be_written(open_path):
    """A file that may be written does not help: the new one has to be put beside it."""
    shut, wide = open_path / "shut", open_path / "wide"
    for folder, mode in ((wide, 0o777), (shut, 0o555)):
        folder.mkdir()
        (folder / "net.npz").touch()
        (folder / "net.npz").chmod(0o666)
        folder.chmod(mode)
    (wide / "link.npz").symlink_to(shut / "net.npz")
    for path, expected in (
        (wide / "net.npz", "written 3"),
        (shut / "net.npz", "PermissionError 0"),
        (shut / "new" / "net.npz", "PermissionError 0"),
        (wide / "link.npz", "PermissionError 0"),
    ):
        command = [sys.executable, "-c", AS_NOBODY, str(path)]
        result = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120)
        assert result.stdout.strip() == expected, (path, result.stderr)
    shut.chmod(0o755)
    assert os.listdir(shut) == ["net.npz"]
