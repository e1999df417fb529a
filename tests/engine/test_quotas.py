"""Control groups: the strictest quota of processors holds, and the least room for memory."""

import math
import os
import sys
from pathlib import Path

import pytest
from processes import run_on_two_threads

from fastnn.engine import runtime


def control_groups(folder, groups, mounts, files):
    """Make a process's files and the trees that they name; a quota's file is written as its content says."""
    process = folder / "proc"
    process.mkdir()
    (process / "cgroup").write_text("".join(f"{line}\n" for line in groups))
    lines = ["23 1 0:21 / /proc rw,relatime shared:5 - proc proc rw"]
    for root, point, kind, options in mounts:
        (folder / point).mkdir(parents=True, exist_ok=True)
        escaped = str(folder / point).replace(" ", "\\040")
        lines.append(f"31 23 0:28 {root} {escaped} rw,relatime shared:9 - {kind} cgroup {options}")
    (process / "mountinfo").write_text("\n".join(lines) + "\n")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return process


V2 = [("/", "fs", "cgroup2", "rw")]

V1 = [("/", "fs/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"), ("/", "fs/memory", "cgroup", "rw,memory")]

HYBRID = [*V1, ("/", "fs/unified", "cgroup2", "rw")]


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "wanted"),
    [
        (["0::/"], V2, {}, sys.maxsize),
        (["0::/"], V2, {"fs/cpu.max": "max 100000"}, sys.maxsize),
        (["0::/a/b"], V2, {"fs/a/b/cpu.max": "60000 100000"}, 1),
        (["0::/a/b"], V2, {"fs/a/b/cpu.max": "max 100000", "fs/a/cpu.max": "250000 100000"}, 3),
        (["0::/a/b"], V2, {"fs/a/b/cpu.max": "400000 100000", "fs/a/cpu.max": "200000 100000"}, 2),
        (["0::/a"], V2, {"fs/a/b/cpu.max": "100000 100000"}, sys.maxsize),
        (["0::/a"], V2, {"fs/a/cpu.max": "nonsense"}, sys.maxsize),
        (["0::/../.."], V2, {"fs/cpu.max": "100000 50000"}, 2),
        (["0::/docker/x/y"], [("/docker/x", "fs", "cgroup2", "rw")], {"fs/y/cpu.max": "150000 100000"}, 2),
        (["0::/docker/x"], [("/docker/x", "fs", "cgroup2", "rw")], {"fs/cpu.max": "150000 100000"}, 2),
        (["0::/a"], [("/", "with space", "cgroup2", "rw")], {"with space/a/cpu.max": "100000 100000"}, 1),
        (
            ["3:cpu,cpuacct:/a/b", "2:memory:/c", "0::/"], HYBRID,
            {"fs/cpu,cpuacct/a/cpu.cfs_quota_us": "60000", "fs/cpu,cpuacct/a/cpu.cfs_period_us": "100000"}, 1,
        ),
        (
            ["3:cpu,cpuacct:/a/b", "0::/"], HYBRID,
            {
                "fs/cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1", "fs/cpu,cpuacct/a/b/cpu.cfs_period_us": "100000",
                "fs/cpu,cpuacct/cpu.cfs_quota_us": "310000", "fs/cpu,cpuacct/cpu.cfs_period_us": "100000",
            }, 4,
        ),
        (["2:memory:/a"], V1, {"fs/memory/a/cpu.cfs_quota_us": "1", "fs/memory/a/cpu.cfs_period_us": "1"}, sys.maxsize),
        ([], V1, {"fs/cpu,cpuacct/cpu.cfs_quota_us": "2", "fs/cpu,cpuacct/cpu.cfs_period_us": "1"}, 2),
    ],
)  # fmt: skip
def test_the_strictest_quota_of_all_groups_holds(tmp_path, groups, mounts, files, wanted):
    assert runtime._cgroup_quota(control_groups(tmp_path, groups, mounts, files)) == wanted


def test_without_control_groups_there_is_no_quota(tmp_path):
    assert runtime._cgroup_quota(tmp_path) == sys.maxsize
    (tmp_path / "cgroup").write_text("nonsense")
    (tmp_path / "mountinfo").write_text("nonsense")
    assert runtime._cgroup_quota(tmp_path) == sys.maxsize


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "wanted"),
    [
        (["0::/a/b"], V2, {"fs/a/b/memory.max": "max", "fs/a/b/memory.current": "7"}, 4096),
        (["0::/a/b"], V2, {"fs/a/memory.max": "1000", "fs/a/memory.current": "800"}, 300),
        (["0::/a"], V2, {"fs/a/memory.max": "9000", "fs/a/memory.current": "800"}, 4096),
        (
            ["2:memory:/a", "0::/"], HYBRID,
            {"fs/memory/a/memory.limit_in_bytes": "1000", "fs/memory/a/memory.usage_in_bytes": "600"}, 500,
        ),
        (["0::/a"], V2, {"fs/a/memory.max": "nonsense", "fs/a/memory.current": "1"}, 4096),
    ],
)  # fmt: skip
def test_the_least_room_for_memory_counts(tmp_path, groups, mounts, files, wanted):
    kept = {str(Path(path).with_name("memory.stat")): "anon 1\ninactive_file 100\n" for path in files}
    process = control_groups(tmp_path, groups, mounts, {**files, **kept})
    system = tmp_path / "meminfo"
    system.write_text("MemTotal: 9 kB\nMemAvailable: 4 kB\n")
    assert runtime._free_memory(process, system) == wanted


def test_where_nothing_is_known_of_memory_it_does_not_matter(tmp_path):
    assert runtime._free_memory(tmp_path, tmp_path / "meminfo") == math.inf


def test_there_is_no_process_that_compiles_without_memory(monkeypatch):
    for free, most in ((0.0, 1), (float(runtime.COMPILER_BYTES), 2), (math.inf, sys.maxsize)):
        monkeypatch.setattr(runtime, "_free_memory", lambda free=free: free)
        assert runtime.compilers() == min(runtime.available_threads(), most)


@pytest.fixture
def nested_group():
    """A control group two levels down, whose parent has 0.6 of a processor."""
    trees = [Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup")]
    tree = next((tree for tree in trees if (tree / "cgroup.procs").exists()), None)
    if tree is None:
        pytest.skip("no control groups here")
    outer = tree / f"fastnn-{os.getpid()}"
    groups = [outer, outer / "inner"]
    try:
        for group in groups:
            group.mkdir()
        if (outer / "cpu.max").exists():
            (outer / "cpu.max").write_text("60000 100000")
        else:
            (outer / "cpu.cfs_period_us").write_text("100000")
            (outer / "cpu.cfs_quota_us").write_text("60000")
        yield groups[1]
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    finally:
        for group in reversed(groups):
            if group.exists():
                group.rmdir()


def test_a_quota_on_the_parent_of_a_real_group_is_seen(nested_group):
    code = f"""
import os
with open({str(nested_group / "cgroup.procs")!r}, "w") as processes:
    processes.write(str(os.getpid()))
from fastnn.engine import runtime
print(runtime._cgroup_quota(), runtime.available_threads())
"""
    assert run_on_two_threads(code) == "1 1"
