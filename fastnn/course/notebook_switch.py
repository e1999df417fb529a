"""What fastnn replaces in one of the course's notebooks, and the replaced text.

A definition goes only where fastnn's function takes the same arguments, with the same defaults, and returns as many
values: what a learner has changed stays, and is named.
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import get_args, get_origin

from fastnn.course.notebook_versions import (
    Function,
    Sign,
    Topic,
    Version,
    argument_names,
    definitions,
    find_topic,
    find_version,
    imported_modules,
    imports,
    returned_values,
)
from fastnn.course.notebooks import Edit, Notebook, edited, is_magic, parsed
from fastnn.interrupts import imported

_YEARS: dict[Version, str] = {"v1": "2017", "v1b": "2018 to 2020", "2021": "2021 and later"}
_DOORS: dict[Version, str] = {"v1": "fastnn.v1", "v1b": "fastnn", "2021": "fastnn.v2021"}
_WIDTH = 100
_TEST_FILES = re.compile(r"testCases\w*|public_tests\w*|test_utils\w*")
# What our loaders read, by their own names.
_DATA = {
    "load_2D_dataset": ("datasets/data.mat",),
    "load_cats": ("datasets/train_catvnoncat.h5", "datasets/test_catvnoncat.h5"),
}
# Comments above the exercises.
_EXERCISE_MARKS = ("# GRADED FUNCTION", "# UNQ_")
# What the notebook is there to check stays the learner's own; it comes with two mistakes to find.
_CHECKED = "backward_propagation_n"


@dataclass
class Switch:
    r"""What to change in a notebook.

    Parameters
    ----------
    notebook : Notebook
        The notebook.
    title : str
        Which one it is, and of which years.
    signs : list of Sign
        What that is known by.
    import_line : str
        What takes the place of the helpers' imports; empty if there is nothing to import.
    import_cells : list of int
        Where these are.
    deleted : list of Sign
        The definitions that fastnn replaces.
    kept : list of Sign
        What is left as it is, and why.
    needed : list of str
        Files that the notebook still reads.
    sources : list of str
        The new text of each code cell.

    Examples
    --------
    >>> from fastnn.course.notebooks import Cell
    >>> code = "from init_utils import *\nload_dataset()"
    >>> switch = plan_switch(Notebook(Path("a.ipynb"), {}, [], [Cell(1, code, *parsed(code))]))
    >>> switch.sources
    ['from fastnn.initialization import load_dataset\nload_dataset()']
    """

    notebook: Notebook
    title: str
    signs: list[Sign]
    import_line: str = ""
    import_cells: list[int] = field(default_factory=list)
    deleted: list[Sign] = field(default_factory=list)
    kept: list[Sign] = field(default_factory=list)
    needed: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)

    def changes(self) -> bool:
        """Tell whether anything is to be changed.

        Returns
        -------
        bool
            Whether the new text differs.
        """
        return self.sources != [cell.source for cell in self.notebook.cells]

    def report(self) -> str:
        """Say all this in words.

        Returns
        -------
        str
            Lines to print.
        """
        lines = [f"{self.notebook.path}: {self.title}", *_listed(self.signs)]
        if not self.changes():
            lines += ["", "There is nothing to change."]
        elif self.import_line:
            cells = ", ".join(map(str, self.import_cells))
            where = f"in place of the helpers' imports (cell {cells})" if cells else "before the first use"
            lines += ["", f"Import, {where}:", textwrap.indent(self.import_line, "    ")]
        if self.deleted:
            title = "Delete these definitions, which fastnn has (what they compute has not been compared):"
            lines += ["", title, *_listed(self.deleted)]
        if self.kept:
            lines += ["", "Left as it is:", *_listed(self.kept)]
        if self.needed:
            files = [name + _lacking(self.notebook.path.parent / name) for name in self.needed]
            lines += ["", f"Still needed beside the notebook: {', '.join(files)}"]
        lines += ["", "Cell 3 is the third with code: In [3], once all have been run in order."]
        return "\n".join(lines)


def _lacking(file: Path) -> str:
    """Say in brackets what a file lacks, be it the file itself."""
    if not file.exists():
        return " (not there)"
    try:
        tree = parsed(file.read_text(encoding="utf-8"))[0] if file.suffix == ".py" else None
    except (OSError, ValueError):
        return ""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)] if tree else []
    roots = dict.fromkeys(name.partition(".")[0] for node in nodes for name in imported_modules(node))
    missing = [
        root
        for root in roots
        if root not in ("", *sys.modules) and not file.with_name(f"{root}.py").exists() and find_spec(root) is None
    ]
    return f" (imports {', '.join(missing)}: not installed; README says what to do)" if missing else ""


def _listed(signs: list[Sign]) -> list[str]:
    return [f"    cell {sign.cell}: {sign.text}" for sign in signs]


def plan_switch(notebook: Notebook) -> Switch:
    """Find out which of the course's notebooks this is, and what to change so that it uses fastnn.

    Parameters
    ----------
    notebook : Notebook
        The notebook.

    Returns
    -------
    Switch
        What to change.

    Raises
    ------
    ValueError
        If it is none of the course's, or several in one.

    Examples
    --------
    >>> plan_switch(Notebook("mine.ipynb", {}, [], []))
    Traceback (most recent call last):
    ...
    ValueError: mine.ipynb must be one of the course's four notebooks, got one that neither imports a helper file of \
theirs (init_utils, reg_utils, gc_utils, opt_utils) nor defines its functions
    """
    topic, topic_signs = find_topic(notebook)
    version, version_signs = find_version(notebook, topic)
    years = _YEARS[version] if topic.name == "optimization" or version == "2021" else "2017 to 2020"
    signs = list(dict.fromkeys([*topic_signs, *version_signs]))
    switch = Switch(notebook, f"the {topic.title} notebook of {years}", signs)
    module = imported(f"{_DOORS[version]}.{topic.name}")
    edits: dict[int, list[Edit]] = {cell.number: [] for cell in notebook.cells}
    gone = _plan_definitions(switch, module, edits)
    wanted, missing = _plan_imports(switch, topic, module, edits)
    used = _used(notebook, gone) & {*module.__all__}
    wanted |= {name: name for name in used - _bound(notebook, gone)}
    wanted |= {sign.text: sign.text for sign in switch.deleted}
    switch.import_line = _import_line(module.__name__, wanted)
    lines = [switch.import_line] if switch.import_line else []
    lines += [f"from {helper} import {', '.join(others)}" for helper, others in missing.items()]
    _place_imports("\n".join(lines), edits)
    for cell in notebook.cells:
        source = edited(cell.source, edits[cell.number])
        here = [sign.text for sign in switch.deleted if sign.cell == cell.number]
        left = [line for line in source.split("\n") if line.strip() and not line.startswith(_EXERCISE_MARKS)]
        if here and not left:
            source = f"# {', '.join(here)}: imported from {module.__name__}"
        switch.sources.append(source)
        if cell.problem is not None:
            switch.kept.append(Sign(cell.number, f"cannot be read as Python ({cell.problem}): see to it yourself"))
    switch.kept.sort()
    modules = [name for _, node in imports(notebook) for name in imported_modules(node)]
    switch.needed = [
        *dict.fromkeys(f"{name}.py" for name in modules if _TEST_FILES.fullmatch(name)),
        *(f"{helper}.py" for helper in missing),
        *(file for name in sorted(used) for file in _DATA.get(getattr(module, name).__name__, ())),
    ]
    return switch


def _plan_definitions(switch: Switch, module: ModuleType, edits: dict[int, list[Edit]]) -> set[ast.stmt]:
    """Note the definitions to delete and those to leave; return the former."""
    gone: set[ast.stmt] = set()
    for cell, function in definitions(switch.notebook):
        if function.name in module.__all__:
            reason = _misfit(function, getattr(module, function.name))
            if function.name == _CHECKED:
                reason = "is what this notebook is there to check"
            if reason is None:
                gone.add(function)
                edits[cell.number].append(Edit(function, ""))
                switch.deleted.append(Sign(cell.number, function.name))
            else:
                switch.kept.append(Sign(cell.number, f"{function.name} {reason}"))
    return gone


def _misfit(function: Function, ours: Callable[..., object]) -> str | None:
    """Say why fastnn's function cannot stand for a definition; None if it can."""
    signature = inspect.signature(ours)
    theirs = [known for known in signature.parameters.values() if known.kind is known.POSITIONAL_OR_KEYWORD]
    given, names = function.args, argument_names(function)
    if isinstance(function, ast.AsyncFunctionDef) or function.decorator_list:
        return "is decorated or async"
    special = given.vararg or given.kwarg or given.posonlyargs or given.kwonlyargs
    left_over = [known for known in theirs[len(names) :] if known.default is known.empty]
    if special or left_over or names != [known.name for known in theirs[: len(names)]]:
        return f"takes ({ast.unparse(given)}), fastnn's ({', '.join(known.name for known in theirs)})"
    for name, default in zip(reversed(names), reversed(given.defaults), strict=False):
        wanted = signature.parameters[name].default
        if not _is_literal(default, wanted):
            has = "has none" if wanted is inspect.Parameter.empty else f"has {wanted!r}"
            return f"has {name}={ast.unparse(default)} as default, where fastnn's {has}: say it in the calls"
    form = signature.return_annotation
    several = get_origin(form) is tuple and Ellipsis not in get_args(form)
    count = len(get_args(form)) if several else 1
    others = {*returned_values(function)} - {count}
    return f"returns {_values(min(others))}, fastnn's {_values(count)}" if others else None


def _is_literal(node: ast.expr, value: object) -> bool:
    """Tell whether an expression is written out, and has this value."""
    try:
        return bool(ast.literal_eval(node) == value)
    except ValueError:
        return False


def _values(count: int) -> str:
    return f"{count} value{'s' if count > 1 else ''}"


def _plan_imports(
    switch: Switch, topic: Topic, module: ModuleType, edits: dict[int, list[Edit]]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Note the helpers' imports for removal; return {name in the notebook: name here}, and by file what is not here."""
    wanted: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    cells = set()
    for cell, node in imports(switch.notebook):
        if not any(topic.stands_for(name) for name in imported_modules(node)):
            continue
        cells.add(cell.number)
        if isinstance(node, ast.Import):
            # A module stays one, under the name that the notebook gave it.
            parts = [
                f"{module.__name__} as {alias.asname or alias.name}"
                if topic.stands_for(alias.name) and (alias.asname or "." not in alias.name)
                else ast.unparse(alias)
                for alias in node.names
            ]
            edits[cell.number].append(Edit(node, f"import {', '.join(parts)}"))
            continue
        edits[cell.number].append(Edit(node, ""))
        for alias in node.names:
            if alias.name in module.__all__:
                wanted[alias.asname or alias.name] = alias.name
            elif alias.name != "*":
                missing.setdefault(node.module or "", []).append(ast.unparse(alias))
    switch.import_cells = sorted(cells)
    return wanted, missing


def _import_line(module: str, names: dict[str, str]) -> str:
    """Return the import of {name in the notebook: name in the module}, in several lines if it is long."""
    parts = [name if here == name else f"{name} as {here}" for here, name in sorted(names.items())]
    line = f"from {module} import {', '.join(parts)}"
    if not parts or len(line) <= _WIDTH:
        return line if parts else ""
    listed = textwrap.fill(", ".join(parts), _WIDTH, initial_indent="    ", subsequent_indent="    ")
    return f"from {module} import (\n{listed},\n)"


def _place_imports(text: str, edits: dict[int, list[Edit]]) -> None:
    """Put the new import in place of the first of the helpers', or else of the first function that goes."""
    removed = [(changes, edit) for changes in edits.values() for edit in changes if not edit.text]
    # One at the top of a cell comes before one within `try` or a function, and any before a definition.
    removed.sort(key=lambda item: (not isinstance(item[1].node, ast.ImportFrom), item[1].node.col_offset > 0))
    if text and removed:
        changes, edit = removed[0]
        changes[changes.index(edit)] = Edit(edit.node, text)


def _used(notebook: Notebook, gone: set[ast.stmt]) -> set[str]:
    """Return the names that the cells use, with what is in lines that only IPython reads."""
    names: set[str] = set()
    for cell in notebook.cells:
        lines = cell.source.split("\n")
        if cell.tree is not None:
            kept = [node for statement in cell.tree.body if statement not in gone for node in ast.walk(statement)]
            names.update(node.id for node in kept if isinstance(node, ast.Name))
            lines = [line for line in lines if is_magic(line)]
        names.update(word for line in lines for word in re.findall(r"[A-Za-z_]\w*", line))
    return names


def _bound(notebook: Notebook, gone: set[ast.stmt]) -> set[str]:
    """Return the names that the cells give to something themselves, outside of functions."""
    names: set[str] = set()
    parts = [node for cell in notebook.cells if cell.tree for node in cell.tree.body if node not in gone]
    nodes: list[ast.AST] = [*parts]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif not isinstance(node, ast.Lambda):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            nodes += ast.iter_child_nodes(node)
    return names
