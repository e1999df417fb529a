"""The package as a whole: lazy import, names, version, what its messages say."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import fastnn

PACKAGE = Path(fastnn.__file__).parent
# Numba itself imports SciPy where it is installed.
OPTIONAL = ("sklearn", "matplotlib", "tqdm", "pandas")
HEAVY = ("numpy", "numba", "llvmlite", "scipy", *OPTIONAL)


def python(code, cwd, *options, **environment):
    """Run code in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def alone(tmp_path):
    """Make a folder that holds the package and no distribution of it."""
    (tmp_path / "fastnn").symlink_to(PACKAGE)
    return tmp_path


def test_import_loads_nothing_heavy(tmp_path):
    code = f"import sys, fastnn, fastnn.reference; print([name for name in {HEAVY} if name in sys.modules])"
    assert python(code, tmp_path) == "[]"


def test_reference_loads_neither_numba_nor_optional_libraries(tmp_path):
    code = (
        "import sys; from fastnn.reference import gradient_checking, initialization, optimization, regularization;"
        f"print([name for name in {HEAVY[1:]} if name in sys.modules])"
    )
    assert python(code, tmp_path) == "[]"


def test_compiled_side_loads_no_optional_library(tmp_path):
    code = f"import sys; from fastnn import *;print([name for name in {OPTIONAL} if name in sys.modules])"
    assert python(code, tmp_path) == "[]"


def test_submodules_are_attributes(tmp_path):
    modules = ("optimization", "v1.optimization", "v2021.regularization")
    names = [f"{side}.{module}" for module in modules for side in ("fastnn", "fastnn.reference")]
    code = f"import fastnn; print({', '.join(f'{name}.__name__' for name in names)})"
    assert python(code, tmp_path).split() == names


def test_star_import_brings_all_names(tmp_path):
    code = "from fastnn import *; import fastnn; print(sorted(set(fastnn.__all__) - set(dir())))"
    assert python(code, tmp_path) == "[]"


def test_dir_lists_public_names_before_they_are_loaded(tmp_path):
    code = "import fastnn; print(sorted(set(fastnn.__all__) - set(dir(fastnn))))"
    assert python(code, tmp_path) == "[]"


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'nets'"):
        _ = fastnn.nets
    assert not hasattr(fastnn, "nets")


def test_version_is_the_distribution_s(alone):
    info = alone / "fastnn_cpu-9.8.7.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fastnn-cpu\nVersion: 9.8.7\n")
    assert python("import fastnn; print(fastnn.__version__)", alone, "-S", PYTHONPATH=str(alone)) == "9.8.7"


def test_version_without_distribution(alone):
    assert python("import fastnn; print(fastnn.__version__)", alone, "-S", PYTHONPATH=str(alone)) == "0+unknown"


def test_version_here():
    try:
        expected = metadata.version("fastnn-cpu")
    except metadata.PackageNotFoundError:
        pytest.skip("fastnn-cpu is not installed: run from its source folder")
    assert fastnn.__version__ == expected


def test_types_are_announced():
    assert (PACKAGE / "py.typed").is_file()


def test_nothing_sends_readers_to_a_stranger_s_distribution():
    root = PACKAGE.parent
    files = [*PACKAGE.rglob("*.py"), *(root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
    stranger = re.compile(r"pip3? install\b[^\n&|;]*[\s\"'`]fastnn(?!-cpu)\b")
    assert stranger.search("pip install -U 'fastnn[all]'")
    assert not stranger.search('pip install "fastnn-cpu[all]"')
    found = [str(file) for file in files if file.is_file() and stranger.search(file.read_text(encoding="utf-8"))]
    assert found == []
