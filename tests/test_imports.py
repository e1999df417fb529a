"""Who may import whom: no circles, and no arrow from what stands below to what stands above."""

import ast
import graphlib
import importlib.util
from pathlib import Path

import pytest

import fastnn

PACKAGE = Path(fastnn.__file__).parent

# A line may import what is on it and on the lines above it, never what is below. A name stands for a module, or for a
# package with all that has no line of its own.
ORDER = (
    ("interrupts",),
    ("checks",),
    ("activations", "losses", "optimizers", "schedules", "initializers"),
    ("specs",),
    ("kernels", "kernels.compiler"),
    ("kernels.layout",),
    ("kernels.formulas", "kernels.matmul"),
    ("kernels.program",),
    ("kernels.course", "kernels.estimators"),
    ("kernels.everything",),
    ("reference",),
    ("engine",),
    (
        "version", "config", "history", "network", "callbacks", "epochs", "trainer", "finite_differences", "inspection",
        "reference.network", "reference.trainer",
    ),
    ("course", "estimators"),
    ("initialization", "regularization", "gradient_checking", "optimization"),
    ("v1", "v2021"),
    ("course.experiments", "course.figures", "course.notebook_switch", "course.command_line", "__main__", "fastnn"),
)  # fmt: skip

# Of the lines above them these import no more than this.
ONLY = {
    **{name: ("interrupts", "kernels") for names in ORDER for name in names if name.startswith("kernels")},
    "reference": ("interrupts", "checks", *ORDER[2], "specs", "reference"),
}

# Where a name is computed before it is imported, and which modules of ours it may be.
NOTEBOOKS = ("initialization", "regularization", "optimization")
COMPUTED = {
    "interrupts": (),
    "checks": (),  # other libraries
    "kernels.compiler.together": (),  # whatever asks it to compile, and is loaded
    "course.experiments": (*NOTEBOOKS, *(f"reference.{name}" for name in NOTEBOOKS)),
    "course.notebook_switch": ("v1", "v2021", *NOTEBOOKS, "gradient_checking"),
}


def modules_of(package):
    """Return {name within the package: its syntax tree}; the package's own is that of its folder."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join(parts) or package.name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def is_door(tree):
    """Whether a package loads its modules when they are asked for: naming them is no import, nor for type checkers."""
    parts = [*tree.body, *(node for part in tree.body if isinstance(part, ast.If) for node in part.body)]
    return any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in parts)


def statements(tree):
    """All nodes, but for those of a door which only map names to modules."""
    parts = tree.body
    if is_door(tree):
        parts = [node for node in parts if not isinstance(node, ast.If | ast.FunctionDef)]
    return [node for part in parts for node in ast.walk(part)]


def full_names(module, tree, package, is_package):
    """Return the full names that a module imports, in whatever way; None for a name that is computed."""
    home = package if module == package else f"{package}.{module}"
    home = home if is_package else home.rpartition(".")[0]
    for node in statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = node.module or ""
            if node.level:
                source = importlib.util.resolve_name("." * node.level + source, home)
            yield from (f"{source}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("imported", "import_module"):
            name = node.args[0]
            yield name.value if isinstance(name, ast.Constant) else None


def home_of(full, package, modules):
    """Return the module that a full name is or is part of; None outside the package."""
    parts = full.split(".")
    if parts[0] != package:
        return None
    for length in range(len(parts), 1, -1):
        name = ".".join(parts[1:length])
        if name in modules:
            return name
    return package


def imports_of(package):
    """Return {module: the modules that it imports}, with the packages in which those are and it is not."""
    modules = modules_of(package)
    graph = {}
    for module, tree in modules.items():
        graph[module] = set()
        is_package = module == package.name or (package / module.replace(".", "/")).is_dir()
        for full in full_names(module, tree, package.name, is_package):
            if full is None:
                allowed = [names for prefix, names in COMPUTED.items() if is_within(module, prefix)]
                assert allowed, f"{module} computes the name of what it imports: write it out, or add it to COMPUTED"
                graph[module].update(*allowed)
            elif name := home_of(full, package.name, modules):
                graph[module].add(name)
                for length in range(1, name.count(".") + 1):
                    around = ".".join(name.split(".")[:length])
                    if not is_within(module, around):
                        graph[module].add(around)
    return graph


def is_within(name, prefix):
    return name == prefix or name.startswith(f"{prefix}.")


LINES = {name: line for line, names in enumerate(ORDER) for name in names}


def place_of(module):
    """Return the longest name in ORDER that a module is within."""
    within = [name for name in LINES if is_within(module, name)]
    assert within, f"{module} has no line: say in ORDER what it stands upon"
    return max(within, key=len)


def wrong_arrows(graph):
    """Return who imports whom against ORDER and ONLY."""
    wrong = []
    for module, imported in graph.items():
        place = place_of(module)
        for other in sorted(imported):
            allowed = any(is_within(other, name) for name in ONLY.get(place, [other]))
            if not allowed or LINES[place_of(other)] > LINES[place]:
                wrong.append(f"{module} -> {other}")
    return wrong


def assert_no_circle(graph):
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"imported in a circle: {' <- '.join(error.args[1])}")


@pytest.fixture(scope="module")
def graph():
    return imports_of(PACKAGE)


def test_no_modules_import_each_other(graph):
    assert_no_circle(graph)


def test_arrows_point_at_what_stands_above(graph):
    assert wrong_arrows(graph) == []


def test_every_line_of_the_order_exists():
    modules = modules_of(PACKAGE)
    assert [name for names in ORDER for name in names if name not in modules] == []


# That these tests see what they are for.


def tree(folder, sources):
    """Write a package of {module: source}, where a module with others in it is a package; return who imports whom."""
    package = folder / "fastnn"
    for name, source in {"fastnn": "", **sources}.items():
        inner = any(other.startswith(f"{name}.") for other in sources)
        path = package if name == "fastnn" else package / name.replace(".", "/")
        path = path / "__init__.py" if inner or path == package else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return imports_of(package)


@pytest.mark.parametrize(
    "back",
    [
        "import fastnn.network",
        "from fastnn.network import Network",
        "from fastnn import network",
        "from . import network",
        "from .network import Network",
        "def f():\n    from fastnn.network import Network",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from fastnn.network import Network",
        "from fastnn.interrupts import imported\nimported('fastnn.network')",
        "import importlib\nimportlib.import_module('fastnn.network').Network",
    ],
)
def test_a_circle_is_seen(tmp_path, back):
    sources = {"interrupts": "", "network": "from fastnn import trainer", "trainer": "import fastnn.history"}
    graph = tree(tmp_path, {**sources, "history": back})
    with pytest.raises(pytest.fail.Exception, match=r"circle: .*network"):
        assert_no_circle(graph)


def test_a_circle_through_a_package_is_seen(tmp_path):
    sources = {
        "network": "from fastnn.course.datasets import load",
        "course": "from fastnn.course import updates",
        "course.updates": "import fastnn.network",
        "course.datasets": "",
    }
    with pytest.raises(pytest.fail.Exception, match="circle"):
        assert_no_circle(tree(tmp_path, sources))


DOOR = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from fastnn import network
def __getattr__(name):
    return imported(name)
"""


def test_a_door_may_name_its_modules(tmp_path):
    graph = tree(tmp_path, {"fastnn": DOOR, "network": "from fastnn import history", "history": ""})
    assert graph == {"fastnn": set(), "network": {"history"}, "history": set()}
    assert wrong_arrows(graph) == []


OTHERS = (
    "checks", "engine.runtime", "kernels.layout", "kernels.program.body", "reference.engine", "reference.trainer",
    "specs.model",
)  # fmt: skip


@pytest.mark.parametrize(
    ("module", "source", "arrow"),
    [
        ("kernels.program.body", "from fastnn.engine import runtime", "engine.runtime"),
        ("kernels.program.body", "from fastnn import checks", "checks"),
        ("kernels.layout", "import fastnn.kernels.program.body", "kernels.program.body"),
        ("kernels.course.ops", "import fastnn.reference.engine", "reference.engine"),
        ("reference.engine", "import fastnn.kernels.layout", "kernels.layout"),
        ("reference.engine", "from fastnn.engine.runtime import held", "engine.runtime"),
        ("reference.engine", "from fastnn.reference.trainer import Trainer", "reference.trainer"),
        ("checks", "from fastnn.specs import model", "specs.model"),
        ("network", "from fastnn import Trainer", "fastnn"),
    ],
)
def test_an_arrow_to_what_stands_below_is_seen(tmp_path, module, source, arrow):
    graph = tree(tmp_path, {**dict.fromkeys(OTHERS, ""), module: source})
    assert f"{module} -> {arrow}" in wrong_arrows(graph)


def test_a_computed_name_has_to_be_declared(tmp_path):
    with pytest.raises(AssertionError, match="network computes the name of what it imports"):
        tree(tmp_path, {"network": "import importlib\nimportlib.import_module(f'fastnn.{name}')"})
