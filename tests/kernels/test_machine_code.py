"""Machine code that comes with the package: where it is used, and where not."""

import hashlib
import shutil

import numpy as np
import pytest
from numba.core.codegen import get_host_cpu_features
from numba.core.registry import cpu_target
from test_cache import PACKAGE, SHOW, copied, edit, numbers, output, run

from fastnn.kernels.compiler import cache
from fastnn.kernels.compiler.host import LEVEL
from fastnn.kernels.program.ops import OPS, at

pytestmark = [
    pytest.mark.needs_jit,
    pytest.mark.skipif(LEVEL not in cache.GENERIC, reason="none is shipped for this processor"),
]

OP = OPS[at.SUM_SQUARES]
SIGNATURE = tuple(OP._signature(np.float64)[0])
COMPILE = """
from fastnn.kernels.program.ops import OPS, at
print(OPS[at.SUM_SQUARES].compiled("float64").cache_hits)
"""


def make(folder, root=PACKAGE.parent):
    """Compile one op for any processor of this one's level, into a folder."""
    made = folder.parent / "made"
    settings = {"FASTNN_SIMD": LEVEL, "NUMBA_CPU_NAME": cache.GENERIC[LEVEL][0], "NUMBA_CPU_FEATURES": ""}
    assert numbers(run(made, COMPILE, root, **settings)) == [0]
    (path,) = made.rglob("*.nbc")
    folder.mkdir(exist_ok=True)
    return shutil.move(path, folder / path.name)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("shipped") / "machine_code")


@pytest.fixture
def shipped(made, tmp_path, monkeypatch):
    """The file, from a folder that is taken for the package's, with an empty cache."""
    shutil.copytree(made.parent, tmp_path / "machine_code")
    monkeypatch.setattr(cache, "SHIPPED", str(tmp_path / "machine_code"))
    monkeypatch.setattr(cache.config, "CACHE_DIR", str(tmp_path / "cache"))
    cache._shipped_for.cache_clear()
    yield tmp_path / "machine_code" / made.name
    cache._shipped_for.cache_clear()


def loaded():
    """Whether the op's code is found, and told to be there."""
    own = cache.KernelCache(OP.function)
    found = own.load_overload(SIGNATURE, cpu_target.target_context) is not None
    own._progress = None
    assert found <= own.holds(SIGNATURE, cpu_target.target_context)
    return found


def test_it_is_used_where_the_cache_is_empty(shipped):
    assert loaded()
    assert f"{shipped.parent} (shipped, x86-64-v" in cache.places()


def test_it_is_not_used_where_the_processor_lacks_something(shipped, monkeypatch):
    features = get_host_cpu_features()
    for name in ("bmi2", "f16c", "fma"):
        lacking = features.replace(f"+{name},", f"-{name},")
        assert lacking != features
        monkeypatch.setattr(cache, "get_host_cpu_features", lambda lacking=lacking: lacking)
        cache._shipped_for.cache_clear()
        assert not loaded()
        assert "shipped" not in cache.places()


@pytest.mark.parametrize("setting", ["CPU_NAME", "CPU_FEATURES"])
def test_it_is_not_used_where_a_processor_is_asked_for(shipped, monkeypatch, setting):
    monkeypatch.setattr(cache.config, setting, "generic" if setting == "CPU_NAME" else "+avx2")
    assert not loaded()


def test_damaged_it_is_not_used(shipped, capsys):
    cache.notices._said.discard("damaged")
    content = bytearray(shipped.read_bytes())
    content[-100] ^= 1
    shipped.write_bytes(content)
    assert not loaded()
    assert f"damaged machine code in {shipped.parent} is compiled anew" in capsys.readouterr().err


def test_from_other_sources_or_another_compiler_it_is_not_used(shipped, capsys):
    content = bytearray(shipped.read_bytes()[32:])
    content[32:64] = bytes(32)
    shipped.write_bytes(hashlib.sha256(content).digest() + content)
    assert not loaded()
    assert "damaged" not in capsys.readouterr().err


def test_the_cache_comes_first(shipped, tmp_path):
    assert numbers(run(tmp_path / "cache", COMPILE)) == [0]
    shipped.write_bytes(b"would be said to be damaged")
    assert loaded()


def test_a_package_with_machine_code_compiles_nothing_until_it_is_edited(tmp_path):
    package, own = copied(tmp_path), tmp_path / "cache"
    path = make(package / "machine_code", root=package.parent)
    assert output(run(own, COMPILE, package.parent)) == ([1], "")
    assert not list(own.rglob("*.nbc"))
    shown, _ = run(own, SHOW, package.parent).communicate()
    assert shown == f"{next(own.iterdir())}, {path.parent} (shipped, {cache.GENERIC[LEVEL][0]})\n"
    edit(package, "return where(z <= 0.0, 0.0, z)\n", "return where(z <= 0.0, 7.0, z)\n")
    assert numbers(run(own, COMPILE, package.parent)) == [0]
