"""A process that damages files of its cache of machine code, time and again, and sees what becomes of its kernels.

Arguments: the number of damages, a seed. The cache is where NUMBA_CACHE_DIR says. Prints what went wrong.
"""

import os
import pickle
import random
import sys
import tempfile
from pathlib import Path

import numba
import numpy as np

from fastnn.kernels.compiler.policy import kernel

X = np.random.default_rng(0).standard_normal(100)
EXPECTED = X.cumsum().tobytes() + X.astype(np.float32).cumsum().tobytes() + X[::-1].cumsum()[::-1].tobytes()


def forwards(x):
    total = x[0] - x[0]
    for i in range(x.size):
        total += x[i]
        x[i] = total


def backwards(x):
    total = x[0] - x[0]
    for i in range(x.size):
        total += x[x.size - 1 - i]
        x[x.size - 1 - i] = total


def results(file):
    for function, dtype in ((forwards, float), (forwards, np.float32), (backwards, float)):
        x = X.astype(dtype)
        kernel(function)(x)
        file.write(x.tobytes())


def child():
    """Run the kernels in a process that has not loaded them; return its exit code, if it was right, what it said."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                os.dup2(err.fileno(), 2)
                results(out)
                out.flush()
                code = 0
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        # A busy machine may take so long that a compilation is announced.
        said = [line for line in err.read().decode().splitlines() if not line.startswith("fastnn: compiling ")]
        return code, out.read() == EXPECTED, said


class Malicious:
    """What must never be unpickled."""

    def __reduce__(self):
        return os._exit, (77,)


def one_bit(content, rng):
    damaged = bytearray(content)
    damaged[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def some_bytes(content, rng):
    damaged = bytearray(content)
    for _ in range(rng.randrange(1, 20)):
        damaged[rng.randrange(len(content))] = rng.randrange(256)
    return bytes(damaged)


def zeroed(content, rng):
    begin, end = sorted(rng.sample(range(len(content) + 1), 2))
    return content[:begin] + bytes(end - begin) + content[end:]


def shifted(content, rng):
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randrange(1, 9) :]


DAMAGES = {
    "one bit": one_bit,
    "some bytes": some_bytes,
    "zeroed": zeroed,
    "shifted": shifted,
    "cut": lambda content, rng: content[: rng.randrange(len(content))],
    "longer": lambda content, rng: content + rng.randbytes(rng.randrange(1, 99)),
    "all zero": lambda content, rng: bytes(len(content)),
    "empty": lambda content, rng: b"",
    "noise": lambda content, rng: rng.randbytes(len(content)),
    "a pickle": lambda content, rng: pickle.dumps(("machine code", 1)),
    "a malicious pickle": lambda content, rng: pickle.dumps(Malicious()),
    "a malicious pickle behind the heading": lambda content, rng: content[:96] + pickle.dumps(Malicious()),
    "without its heading": lambda content, rng: content[96:],
}


def damage(files, rng):
    """Damage one file or all, or let one take another's place; return what has been done, if that changes anything."""
    done = []
    for path in rng.sample(files, rng.choice((1, 1, 1, len(files)))):
        before = path.read_bytes()
        name = rng.choice([*DAMAGES, "another's"])
        after = rng.choice(files).read_bytes() if name == "another's" else DAMAGES[name](before, rng)
        path.write_bytes(after)
        if after != before:
            done.append(f"{name}: {path.name}")
    return done


def main(trials, seed):
    """Print the damages after which a kernel was wrong, or its process not well."""
    rng = random.Random(seed)
    numba.njit(lambda x: x + x)(X)  # the compiler's own beginnings, once for all children
    assert child()[:2] == (0, True)
    folder = next(Path(os.environ["NUMBA_CACHE_DIR"]).iterdir())
    files = sorted(folder.iterdir())
    assert len(files) == 3
    for _ in range(trials):
        done = damage(files, rng)
        told = [f"fastnn: damaged machine code in {folder} is compiled anew"] * bool(done)
        first, second = child(), child()
        # What was compiled anew has taken the damaged file's place.
        if first != (0, True, told) or second != (0, True, []):
            print(done, first, second)
    assert sorted(folder.iterdir()) == files
    print(f"{trials} damages")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
