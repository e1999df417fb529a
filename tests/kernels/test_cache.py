"""The cache of machine code on disk: filled, reused, stale, shared, read-only and forbidden."""

import compileall
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fastnn
from fastnn.kernels.compiler.cache import FINGERPRINT, fingerprint

pytestmark = pytest.mark.needs_jit

PACKAGE = Path(fastnn.__file__).parent

RUN = """
import numpy as np
from fastnn.kernels.course.activations import RELU, activation_forward
x = np.array([[-1.0, 2.0]])
result = np.empty_like(x)
activation_forward(x, result, RELU, 1)
stats = activation_forward.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), *result[0])
"""
FRESH, LOADED = [0, 1, 0, 2], [1, 0, 0, 2]

# What a wrong relu, from another version of the package, makes of the same numbers.
EDIT = "return where(z <= 0.0, 0.0, z)\n", "return where(z <= 0.0, 7.0, z)\n"
FRESH_AND_EDITED = [0, 1, 7, 2]


def run(cache, code=RUN, root=PACKAGE.parent, before=(), **environment):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(root), **environment}
    command = [*before, sys.executable, "-c", code]
    # Python looks for modules in the working directory first.
    return subprocess.Popen(
        command, cwd=Path(root).parent, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def output(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return [int(float(word)) for word in out.split()], err


def numbers(process):
    return output(process)[0]


def copied(folder):
    package = folder / "source" / "fastnn"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def edit(package, old, new):
    path = package / "kernels" / "formulas" / "activations.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_second_process_loads_what_the_first_compiled(tmp_path):
    assert numbers(run(tmp_path)) == FRESH
    assert numbers(run(tmp_path)) == LOADED


def test_editing_a_callee_in_another_file_recompiles(tmp_path):
    package, cache = copied(tmp_path), tmp_path / "cache"
    assert numbers(run(cache, root=package.parent)) == FRESH
    assert numbers(run(cache, root=package.parent)) == LOADED
    edit(package, *EDIT)
    assert numbers(run(cache, root=package.parent)) == FRESH_AND_EDITED


@pytest.mark.parametrize("file", ["top.py", "deeper/__init__.py", "deeper/still/some.pyc"])
def test_modules_in_subfolders_count(tmp_path, monkeypatch, file):
    package = tmp_path / "like_kernels"
    for path in (package / file, package / "compiler" / "cache.py"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"one")
    monkeypatch.syspath_prepend(tmp_path)
    before = fingerprint("like_kernels")
    assert fingerprint("like_kernels") == before is not None
    (package / file).write_bytes(b"two")
    assert fingerprint("like_kernels") not in (before, None)


def test_the_fingerprint_is_that_of_all_kernels():
    assert fingerprint("fastnn.kernels") == FINGERPRINT is not None


def zipped(package, archive):
    with zipfile.ZipFile(archive, "w") as file:
        for path in package.rglob("*.py*"):
            file.write(path, path.relative_to(package.parent))


@pytest.mark.parametrize("name", ["app.zip", pytest.param("app.pyz", marks=pytest.mark.slow)])
def test_a_zip_keeps_its_code_until_it_is_replaced(tmp_path, name):
    package, archive = copied(tmp_path), tmp_path / name
    own = {"XDG_CACHE_HOME": str(tmp_path / "own"), "root": archive}
    zipped(package, archive)
    assert numbers(run("", **own)) == FRESH
    assert output(run("", **own)) == (LOADED, "")
    edit(package, *EDIT)
    zipped(package, archive)
    assert numbers(run("", **own)) == FRESH_AND_EDITED


@pytest.mark.slow
def test_a_zip_trains(tmp_path):
    code = """
import numpy as np
import fastnn
X = np.random.default_rng(0).standard_normal((2, 50))
network = fastnn.Network([2, 3, 1], output="sigmoid", seed=0)
fastnn.train(network, X, (X[0] > 0).astype(int), epochs=2, batch_size=10, seed=0)
print(fastnn.__file__)
print(*network.vector.tobytes())
"""
    archive = tmp_path / "fastnn.zip"
    zipped(copied(tmp_path), archive)
    (expected, _), (first, _), (second, err) = (
        run(tmp_path / "cache", code, root).communicate(timeout=300) for root in (PACKAGE.parent, archive, archive)
    )
    assert str(archive) in first
    assert first == second
    assert first.splitlines()[1] == expected.splitlines()[1]
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True])
def test_bytecode_without_sources(tmp_path, packed):
    package, cache = copied(tmp_path), tmp_path / "cache"
    root = tmp_path / "app.pyz" if packed else package.parent

    def build():
        compileall.compile_dir(package, legacy=True, quiet=1, force=True)
        if packed:
            kept = tmp_path / "sources"
            shutil.copytree(package, kept)
        for path in package.rglob("*.py"):
            path.unlink()
        if packed:
            zipped(package, root)
            shutil.rmtree(package)
            kept.rename(package)

    sources = tmp_path / "kept"
    shutil.copytree(package, sources)
    build()
    assert numbers(run(cache, root=root)) == FRESH
    assert numbers(run(cache, root=root)) == LOADED
    shutil.rmtree(package)
    sources.rename(package)
    edit(package, *EDIT)
    build()
    assert numbers(run(cache, root=root)) == FRESH_AND_EDITED


IMPORTED_FROM_MEMORY = """
import importlib.abc, importlib.util, pathlib, sys

class FromMemory(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, root):
        paths = root.rglob("fastnn/**/*.py")
        self.files = {path.relative_to(root).with_suffix("").as_posix(): path.read_text() for path in paths}

    def find_spec(self, name, path=None, target=None):
        path = name.replace(".", "/")
        for found, package in ((path, False), (path + "/__init__", True)):
            if found in self.files:
                origin = "/memory/" + found + ".py"
                spec = importlib.util.spec_from_loader(name, self, origin=origin, is_package=package)
                spec.has_location = True
                return spec

    def exec_module(self, module):
        path = module.__spec__.origin
        exec(compile(self.files[path[len("/memory/"):-3]], path, "exec"), vars(module))

sys.meta_path.insert(0, FromMemory(pathlib.Path(sys.path.pop(1))))
"""


@pytest.mark.slow
def test_what_cannot_be_read_is_not_cached(tmp_path):
    for _ in range(2):
        result, err = output(run(tmp_path, IMPORTED_FROM_MEMORY + RUN))
        assert result == FRESH
        assert err == "fastnn: its own files cannot be read, so that every process compiles anew\n"


def test_two_processes_that_start_at_once(tmp_path):
    first, second = run(tmp_path), run(tmp_path)
    assert sum(numbers(first)[:2]) == 1
    assert sum(numbers(second)[:2]) == 1
    assert numbers(run(tmp_path)) == LOADED


FILES_OF_4_KB = """
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
result ="""


def test_a_full_disk_costs_the_cache_only(tmp_path):
    result, err = output(run(tmp_path, RUN.replace("result =", FILES_OF_4_KB)))
    assert result == FRESH
    assert "fastnn: machine code cannot be kept in " in err
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_a_process_killed_while_it_writes(tmp_path):
    killed = FILES_OF_4_KB.replace(
        "import resource, signal", "import resource, signal\nsignal.signal(signal.SIGXFSZ, 0)"
    )
    process = run(tmp_path, RUN.replace("result =", killed))
    process.communicate()
    assert process.returncode == -signal.SIGXFSZ
    result, err = output(run(tmp_path))
    assert result == FRESH
    assert "damaged" not in err
    assert output(run(tmp_path)) == (LOADED, "")


@pytest.mark.parametrize("trials", [16, pytest.param(300, marks=pytest.mark.slow)])
def test_a_damaged_cache_costs_a_compilation_only(tmp_path, trials):
    program = [sys.executable, Path(__file__).parents[1] / "programs" / "cache_program.py", str(trials), "0"]
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)}
    process = subprocess.run(program, env=env, capture_output=True, text=True, check=False)
    assert process.stdout == f"{trials} damages\n", process.stderr


# The op takes longer than the second after which that is announced.
COMPILE_FOR_LONG = """
from fastnn.kernels.program.ops import OPS, at
OPS[at.GRADIENT_OVER_EXAMPLES].address("float64")
"""


def test_what_takes_long_is_announced_once_on_stderr(tmp_path):
    _, err = run(tmp_path, COMPILE_FOR_LONG).communicate(timeout=120)
    assert err.startswith("fastnn: compiling ")
    _, err = run(tmp_path, COMPILE_FOR_LONG).communicate(timeout=120)
    assert err == ""


@pytest.mark.parametrize("change", ["sys.stderr = None", "sys.stderr.close()"])
def test_without_stderr_nobody_is_told(tmp_path, change):
    code = f"""
import sys, threading
import fastnn.kernels.program.ops
threading.excepthook = lambda args: print("failed in a thread", args.exc_type)
{change}
{COMPILE_FOR_LONG}
print("compiled")
"""
    out, _ = run(tmp_path, code).communicate(timeout=120)
    assert out == "compiled\n"


# As somebody else, for the superuser may write everywhere and start as many threads as he likes. Tests may run out of
# a folder that nobody else can enter, so this somebody may read all files.
READ_ALL = "+dac_read_search"
IDENTITY = ("--reuid=65534", "--regid=65534", "--clear-groups")
RIGHTS = (f"--bounding-set=-all,{READ_ALL}", f"--inh-caps={READ_ALL}", f"--ambient-caps={READ_ALL}")
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
SOMEBODY = ("setpriv", *IDENTITY, *RIGHTS) if ROOT else ()
NOWHERE = {"HOME": "/nonexistent", "XDG_CACHE_HOME": "/dev/null/cache"}
SHOW = "import fastnn\nprint(fastnn.show_config('dicts')['cache'])"


@pytest.fixture
def package(tmp_path):
    """A copy of the package that somebody else may read, and nobody write."""
    try:
        allowed = not subprocess.run([*SOMEBODY, "true"], capture_output=True).returncode
    except OSError:
        allowed = False
    if not allowed:
        pytest.skip("may not act as another user")
    package = copied(tmp_path)
    lock(package)
    yield package
    lock(package, False)


def lock(folder, locked=True):
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o555 if locked else 0o755)


def opened(folder):
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.mark.parametrize("asked", ["", "/dev/null/cache"])
def test_without_a_writable_place_it_runs_and_says_so_once(package, asked):
    code = "from fastnn.kernels.program import outputs\noutputs.sum_terms.address('float64')\n" + RUN
    result, err = output(run(asked, code, package.parent, SOMEBODY, **NOWHERE))
    assert result == FRESH
    assert err.count("\n") == 1
    assert "NUMBA_CACHE_DIR" in err
    assert "fastnn.warmup()" in err


@pytest.mark.skipif(not ROOT, reason="nobody else may act as a user that is in no list")
def test_a_user_without_a_home_finds_no_cache_in_the_working_directory(package, tmp_path):
    here = opened(tmp_path / "here")
    code = f"import os\nos.chdir({str(here)!r})\nos.environ.pop('HOME')\n" + RUN
    unknown = [word.replace("uid=65534", "uid=1234567") for word in SOMEBODY]
    assert numbers(run("", code, package.parent, unknown, XDG_CACHE_HOME="")) == FRESH
    assert not list(here.iterdir())


@pytest.mark.parametrize("asked", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_folder_that_was_filled_before_may_be_read_only(package, tmp_path, asked):
    lock(package, False)
    cache = tmp_path / "cache" if asked else ""
    assert numbers(run(cache, root=package.parent, **NOWHERE)) == FRESH
    lock(package)
    if asked:
        lock(cache)
    own = {"HOME": str(opened(tmp_path / "home")), "XDG_CACHE_HOME": ""}
    for elsewhere in (NOWHERE, own):
        assert output(run(cache, RUN, package.parent, SOMEBODY, **elsewhere)) == (LOADED, "")
    shown, _ = run(cache, SHOW, package.parent, SOMEBODY, **NOWHERE).communicate()
    assert shown.startswith(str(cache or package / "kernels" / "__pycache__"))
    assert shown.endswith(" (read only)\n")


def test_show_config_says_that_there_is_no_cache(package):
    shown, _ = run("", SHOW, package.parent, SOMEBODY, **NOWHERE).communicate()
    assert shown == "none: every process compiles (set NUMBA_CACHE_DIR)\n"


def test_without_threads_to_be_had_it_compiles(package, tmp_path):
    code = """
import resource, sys, threading
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    threading.Thread(target=print).start()
    sys.exit("there are threads to be had")
except RuntimeError:
    pass
result ="""
    cache = opened(tmp_path / "cache")
    one = {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    process = run(cache, RUN.replace("result =", code), package.parent, SOMEBODY, **one)
    out, err = process.communicate(timeout=120)
    if "there are threads to be had" in err:
        pytest.skip("this system does not limit threads")
    assert process.returncode == 0, err
    assert [int(float(word)) for word in out.split()] == FRESH
    assert err.startswith("fastnn: compiling ")
