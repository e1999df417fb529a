"""Checkpoints: what is written and when, and files that do not fit or are damaged."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from callback_cases import Owner, X, Y, side, trainer_of
from processes import environment

import fastnn
from fastnn import Checkpoint


@side
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_checkpoints(side, dtype, tmp_path):
    net, twin = (side.Network([3, 8, 2], "tanh", dtype=dtype, seed=seed) for seed in (0, 1))
    checkpoint = Checkpoint(tmp_path / "new" / "{epoch:03d}{{}}", every=2)
    kept = {}
    note = lambda trainer, history: kept.update({history.epochs: trainer.network.vector.copy()})  # noqa: E731
    side.train(net, X, Y, epochs=5, callbacks=[checkpoint, note])
    assert sorted(os.listdir(tmp_path / "new")) == ["002{}", "004{}"]
    assert checkpoint.path_ == tmp_path / "new" / "004{}"
    for epoch in (2, 4):
        place = twin.vector.ctypes.data
        assert Checkpoint.load(str(tmp_path / "new" / f"{epoch:03d}{{}}"), twin) == epoch
        assert twin.vector.ctypes.data == place
        assert twin.vector.tobytes() == kept[epoch].tobytes()


def test_best_checkpoints(tmp_path):
    path = str(tmp_path / "net.npz")
    checkpoint, owner = Checkpoint(path, save_best_only=True), Owner()
    owner.fit([checkpoint], validation_score=[0.1, math.nan, 0.3, 0.2])
    assert (Checkpoint.load(path, owner.network_), checkpoint.best_value_) == (3, 0.3)
    assert (owner.network_.vector == 3).all()
    # Every second epoch is looked at, and an earlier training does not count.
    checkpoint.every = 2
    owner.fit([checkpoint], validation_score=[0.9, 0.1, 0.8, 0.05])
    assert (Checkpoint.load(path, owner.network_), checkpoint.best_value_) == (2, 0.1)
    owner.fit([Checkpoint(path, "loss", save_best_only=True)], loss=[3.0, 1.0, 2.0], validation_score=[0.1, 0.2, 0.3])
    assert Checkpoint.load(path, owner.network_) == 2


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path, owner = tmp_path / "net.npz", Owner()
    owner.fit([Checkpoint(path)], loss=[1.0])
    old = path.read_bytes()

    def half(stream, **arrays):
        stream.write(b"PK")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(OSError, match="disk full"):
        owner.fit([Checkpoint(path)], loss=[1.0])
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["net.npz"]


def test_files_that_do_not_fit_change_nothing(tmp_path):
    net = fastnn.reference.Network([3, 8, 2], seed=0)
    before = net.vector.copy()
    path = tmp_path / "net.npz"
    fits = {**net.parameters, "epoch": np.int64(1)}
    for arrays, message in (
        ({**fits, "W2": np.zeros((2, 9))}, r"W2 in path must have shape \(2, 8\), got shape \(2, 9\)"),
        ({**fits, "b2": np.zeros((2, 1), "f4")}, "b2 in path must be float64, as the network is, got float32"),
        ({**fits, "W3": np.zeros((2, 2))}, "path must hold W1, b1, W2, b2 and epoch, got W1, b1, W2, b2, W3"),
        ({"W1": fits["W1"]}, "path must hold W1, b1, W2, b2 and epoch, got W1"),
        ({**fits, "epoch": np.zeros(2, int)}, "path must hold W1, b1, W2, b2 and epoch, got"),
        ({**fits, "b2": np.array([[None], [1]])}, "path must be a file that Checkpoint has written"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=message):
            Checkpoint.load(path, net)
    np.savez(path, **{name: array + 1 for name, array in fits.items()})
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 255
    for damaged in (b"", b"PK\x03\x04", whole[:100], whole[: len(whole) // 2], whole[:-1], b"text", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"path must be a file that Checkpoint has written, got '.*net\.npz'"):
            Checkpoint.load(path, net)
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match="path must be a file that Checkpoint has written"):
        Checkpoint.load(tmp_path / "one.npy", net)
    with pytest.raises(FileNotFoundError):
        Checkpoint.load(tmp_path / "none.npz", net)
    with pytest.raises(TypeError, match="network must be a Network, got Trainer"):
        Checkpoint.load(path, fastnn.reference.Trainer(net))
    assert (net.vector == before).all()


def test_a_place_that_cannot_be_written_is_seen_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        trainer_of(fastnn.reference).fit(X, Y, callbacks=[Checkpoint(tmp_path / "file" / "net.npz", every=1000)])


WRITES_FOR_EVER = """
import sys
from fastnn import Checkpoint
from fastnn.reference import Network, Trainer
fill = lambda trainer, history: trainer.network.vector.fill(history.epochs)
trainer = Trainer(Network([1, 300, 300, 1], seed=0), seed=0)
trainer.fit([[1.0]], [[1.0]], epochs=10**6, callbacks=[fill, Checkpoint(sys.argv[1])])
"""


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_a_killed_process_leaves_a_whole_file(kills, tmp_path):
    path, net = tmp_path / "net.npz", fastnn.reference.Network([1, 300, 300, 1], seed=0)
    for kill in range(kills):
        path.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", WRITES_FOR_EVER, str(path)], env=environment())
        try:
            end = time.monotonic() + 60
            while not path.exists():
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.002)
            time.sleep(0.05 * ((kill + 0.5) * 0.618 % 1))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        epoch = Checkpoint.load(path, net)
        assert (net.vector == epoch).all()
