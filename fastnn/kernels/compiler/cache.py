"""Where machine code is kept on disk, and how it is told whether a file holds what would be compiled here and now.

Numba's own cache goes by the file of a function alone: it would go on using a kernel whose callee in another file has
changed, and it unpickles and runs whatever the file holds.
"""

import contextlib
import functools
import hashlib
import importlib.resources
import os
import pickle
import sys
import tempfile
import uuid

import llvmlite
import numba
from numba import config
from numba.core.caching import NullCache
from numba.core.codegen import get_host_cpu_features
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

from fastnn.interrupts import held
from fastnn.kernels.compiler import notices
from fastnn.kernels.compiler.host import LEVEL

# All kernels, of which any may be part of another's machine code.
_KERNELS = __package__.rpartition(".")[0]
_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Machine code that came with the package, in a wheel that has some; `.ci/machine_code.py` makes it.
SHIPPED = os.path.join(os.path.dirname(_FOLDER), "machine_code")

# The processor that it is compiled for, of each level, and what that needs.
_V3 = {
    "cmov", "crc32", "cx16", "cx8", "fxsr", "mmx", "popcnt", "sahf", "sse", "sse2", "sse3", "sse4.1", "sse4.2", "ssse3",
    "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave",
}  # fmt: skip
GENERIC = {
    "avx2": ("x86-64-v3", _V3),
    "avx512": ("x86-64-v4", _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
}

# Settings of numba that change what is compiled.
_SETTINGS = ("BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE", "USING_SVML")


def _modules(folder, prefix=""):
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _modules(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".py", ".pyc")):
            yield prefix + entry.name, entry.read_bytes()


def fingerprint(package):
    """Digest of a package's modules in all its subfolders, in a zip as well, or None where they cannot be read."""
    digest, names = hashlib.sha256(), []
    try:
        for name, content in _modules(importlib.resources.files(package)):
            digest.update(f"{name} {len(content)} ".encode() + content)
            names.append(name)
    except Exception:  # whoever imports otherwise than from files may raise anything
        return None
    # The folders of an application frozen into one file hold other things than the code that runs.
    return digest.hexdigest() if f"compiler/{os.path.basename(__file__)}" in names else None


FINGERPRINT = fingerprint(_KERNELS)


def _digest(*parts):
    return hashlib.sha256("\0".join(map(str, parts)).encode()).digest()


@functools.lru_cache
def _folders(chosen):
    # As numba has them: the one that NUMBA_CACHE_DIR has chosen; otherwise beside the sources, and the user's own.
    if FINGERPRINT is None:
        return ()
    # By what the code was compiled from, not by the path of the package: a cluster unpacks each job's zip elsewhere.
    name = f"fastnn_{FINGERPRINT[:16]}"
    if chosen:
        return (os.path.join(os.path.abspath(chosen), name),)
    beside = (os.path.join(_FOLDER, "__pycache__"),) if os.path.isdir(_FOLDER) else ()
    own = AppDirs(appname="numba", appauthor=False).user_cache_dir
    # Without a home it is "~/.cache", in whatever folder the process happens to be.
    return (*beside, os.path.join(own, name)) if os.path.isabs(own) else beside


@functools.lru_cache
def _shipped_for():
    """The processor that the shipped code which can run here is compiled for, or None."""
    name, needed = GENERIC.get(LEVEL, (None, set()))
    chosen = config.CPU_NAME is not None or config.CPU_FEATURES is not None
    if chosen or FINGERPRINT is None or not needed or not os.path.isdir(SHIPPED):
        return None
    return name if needed <= {f[1:] for f in get_host_cpu_features().split(",") if f[:1] == "+"} else None


def _sources(codegen):
    """Where to look for machine code, in turn: folders, and the processor that it is compiled for there."""
    here = codegen.magic_tuple()
    for folder in _folders(config.CACHE_DIR):
        yield folder, here
    if (name := _shipped_for()) is not None:
        yield SHIPPED, (here[0], name, "")


@functools.lru_cache
def _writable(folders):
    for folder in folders:
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
            return folder
    return None


def writable_folder():
    """The folder that new machine code is written to, or None."""
    return _writable(_folders(config.CACHE_DIR))


def _holds_code(folder):
    try:
        return any(name.endswith(".nbc") for name in os.listdir(folder))
    except OSError:
        return False


def places():
    """Where machine code is looked for and kept, for the user to read."""
    folders = _folders(config.CACHE_DIR)
    writable = _writable(folders)
    before = folders[: folders.index(writable)] if writable else folders
    found = [f"{folder} (read only)" for folder in before if _holds_code(folder)]
    name = _shipped_for()
    shipped = [f"{SHIPPED} (shipped, {name})"] * (name is not None)
    return ", ".join(found + [writable] * bool(writable) + shipped) or (
        "none: every process compiles (set NUMBA_CACHE_DIR)"
    )


class KernelCache(NullCache):
    """The cache of one kernel: a file for each of its signatures, processors and settings of the compiler.

    A file begins with a checksum of all the rest, then says what it is and which sources and compiler it comes from.
    Nothing else is looked at before these are right. Checksums are against damage, not against whoever may write there.
    A damaged, foreign or unwritable cache costs a compilation, never an error.
    """

    def __init__(self, py_func):
        self._py_func = py_func
        self._progress = None

    @property
    def cache_path(self):
        """As numba asks for it."""
        return writable_folder()

    def _index_key(self, sig, processor):
        """What tells this file from all others in its folder."""
        function, types = self._py_func, getattr(sig, "args", sig)
        settings = [getattr(config, name) for name in _SETTINGS]
        python = sys.implementation.cache_tag + getattr(sys, "abiflags", "")
        return (function.__module__, function.__qualname__, types, python, *processor, LEVEL, *settings)

    def _heading(self, sig, processor):
        """Return the name of the file, and what it begins with after its checksum.

        processor: triple, name and features, as `magic_tuple` has them.
        """
        function = self._py_func
        key = _digest(*self._index_key(sig, processor))
        values = [cell.cell_contents for cell in function.__closure__ or ()]
        code = function.__code__.co_code, dumps(values) if values else b""
        origin = _digest(FINGERPRINT, numba.__version__, llvmlite.__version__, *code)
        return f"{function.__name__.strip('<>')}-{key.hex()[:16]}.nbc", key, origin

    def holds(self, sig, target_context):
        """Whether a file has the code for the argument types `sig`, which may still turn out to be damaged."""
        # As whoever compiles does: two threads in it at once fail. Ctrl-C must not leave the lock taken.
        with held(), global_compiler_lock:
            target_context.refresh()
        for folder, processor in _sources(target_context.codegen()):
            name, key, origin = self._heading(sig, processor)
            with contextlib.suppress(OSError), open(os.path.join(folder, name), "rb") as file:
                if file.read(96)[32:] == key + origin:
                    return True
        return False

    def holds_some(self):
        """Whether there is code of this function for whatever types."""
        begin = self._py_func.__name__.strip("<>") + "-"
        for folder in {*_folders(config.CACHE_DIR), SHIPPED}:
            with contextlib.suppress(OSError):
                if any(name.startswith(begin) and name.endswith(".nbc") for name in os.listdir(folder)):
                    return True
        return False

    def load_overload(self, sig, target_context):
        """Compiled code for the argument types `sig` (a tuple, or a signature), or None."""
        target_context.refresh()
        for folder, processor in _sources(target_context.codegen()):
            name, key, origin = self._heading(sig, processor)
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    checksum, content = file.read(32), file.read()
            except OSError:
                continue
            loaded = None
            if checksum == hashlib.sha256(content).digest() and content[:32] == key:
                if content[32:64] != origin:  # before an upgrade
                    continue
                # What it needs may be missing here.
                with contextlib.suppress(Exception):
                    loaded = CompileResult._rebuild(target_context, *pickle.loads(memoryview(content)[64:]))
            if loaded is not None:
                return loaded
            notices.say(f"damaged machine code in {folder} is compiled anew", "damaged")
        self._announce()
        return None

    def _announce(self):
        if FINGERPRINT is None:
            notices.say("its own files cannot be read, so that every process compiles anew", "uncached")
        elif self.cache_path is None:
            notices.say(
                "no folder for machine code can be written, so that every process compiles anew: set NUMBA_CACHE_DIR "
                "to one that can be, or that fastnn.warmup() has filled",
                "uncached",
            )
        else:
            self._progress = notices.begin()

    def save_overload(self, sig, data):
        """Keep the compiled code `data` for the argument types `sig`."""
        notices.end(self._progress)
        self._progress = None
        folder = self.cache_path
        if folder is None or data.library.has_dynamic_globals:  # which are addresses in this process
            return
        name, key, origin = self._heading(sig, data.codegen.magic_tuple())
        content = key + origin + dumps(data._reduce())
        path = os.path.join(folder, name)
        # Renamed when complete, for others may be reading or writing the same.
        unfinished = f"{path}.{uuid.uuid4().hex[:16]}.tmp"
        try:
            os.makedirs(folder, exist_ok=True)
            try:
                with open(unfinished, "wb") as file:
                    file.write(hashlib.sha256(content).digest() + content)
                os.replace(unfinished, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished)
                raise
        except OSError as error:
            notices.say(f"machine code cannot be kept in {folder}: {error.strerror}", "unkept")
