"""Which of the course's notebooks a notebook is, and of which version, by its imports, definitions and calls."""

import ast
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from fastnn.course.notebooks import Cell, Notebook

Version: TypeAlias = Literal["v1", "v1b", "2021"]
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class Topic(NamedTuple):
    """One of the four notebooks.

    Parameters
    ----------
    name : str
        Of fastnn's module.
    title : str
        The notebook's.
    helper : str
        Its helper file, without a version.
    own : tuple of str
        Functions that it is known by where it does not import that file.

    Examples
    --------
    >>> [topic.helper for topic in TOPICS]
    ['init_utils', 'reg_utils', 'gc_utils', 'opt_utils']
    """

    name: str
    title: str
    helper: str
    own: tuple[str, ...]

    def stands_for(self, module: str) -> bool:
        """Tell whether a module is this notebook's helper file, of any version, or already fastnn's.

        Parameters
        ----------
        module : str
            The module's name.

        Returns
        -------
        bool
            Whether it is.
        """
        return re.fullmatch(rf"{self.helper}(_v\w+)?|fastnn(\.v\w+)?\.{self.name}", module) is not None


TOPICS = (
    Topic(
        "initialization", "Initialization", "init_utils",
        ("initialize_parameters_zeros", "initialize_parameters_random", "initialize_parameters_he"),
    ),
    Topic(
        "regularization", "Regularization", "reg_utils",
        (
            "compute_cost_with_regularization", "backward_propagation_with_regularization",
            "forward_propagation_with_dropout", "backward_propagation_with_dropout",
        ),
    ),
    Topic(
        "gradient_checking", "Gradient Checking", "gc_utils",
        ("gradient_check", "gradient_check_n", "forward_propagation_n", "backward_propagation_n"),
    ),
    Topic(
        "optimization", "Optimization Methods", "opt_utils",
        (
            "random_mini_batches", "update_parameters_with_gd", "update_parameters_with_momentum",
            "update_parameters_with_adam", "initialize_velocity", "initialize_adam",
        ),
    ),
)  # fmt: skip


class Sign(NamedTuple):
    """What a notebook's topic or version is known by.

    Parameters
    ----------
    cell : int
        Number of the cell.
    text : str
        What is there.

    Examples
    --------
    >>> Sign(1, "imports init_utils").cell
    1
    """

    cell: int
    text: str


def definitions(notebook: Notebook) -> Iterator[tuple[Cell, Function]]:
    """Yield the functions that a notebook defines, those within others left out.

    Parameters
    ----------
    notebook : Notebook
        The notebook.

    Yields
    ------
    (Cell, ast.FunctionDef)
        In order.

    Examples
    --------
    >>> list(definitions(Notebook(None, {}, [], [])))
    []
    """
    for cell in notebook.cells:
        for node in cell.tree.body if cell.tree else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield cell, node


def imports(notebook: Notebook) -> Iterator[tuple[Cell, ast.Import | ast.ImportFrom]]:
    """Yield a notebook's imports, wherever they are.

    Parameters
    ----------
    notebook : Notebook
        The notebook.

    Yields
    ------
    (Cell, ast.Import or ast.ImportFrom)
        In order of cells.

    Examples
    --------
    >>> list(imports(Notebook(None, {}, [], [])))
    []
    """
    for cell, node in _nodes(notebook):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield cell, node


def imported_modules(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the modules that an import names.

    Parameters
    ----------
    node : ast.Import or ast.ImportFrom
        The import.

    Returns
    -------
    list of str
        Their names.

    Examples
    --------
    >>> imported_modules(ast.parse("import numpy as np, math").body[0])
    ['numpy', 'math']
    """
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]


def find_topic(notebook: Notebook) -> tuple[Topic, list[Sign]]:
    """Find out which of the four notebooks this is.

    Parameters
    ----------
    notebook : Notebook
        The notebook.

    Returns
    -------
    topic : Topic
        Which one.
    signs : list of Sign
        What it is known by.

    Raises
    ------
    ValueError
        If it is none of them, or several in one.

    Examples
    --------
    >>> find_topic(Notebook("mine.ipynb", {}, [], []))
    Traceback (most recent call last):
    ...
    ValueError: mine.ipynb must be one of the course's four notebooks, got one that neither imports a helper file of \
theirs (init_utils, reg_utils, gc_utils, opt_utils) nor defines its functions
    """
    found: dict[Topic, list[Sign]] = {topic: [] for topic in TOPICS}
    for cell, node in imports(notebook):
        for name in imported_modules(node):
            for topic in TOPICS:
                if topic.stands_for(name):
                    found[topic].append(Sign(cell.number, f"imports {name}"))
    if not any(found.values()):
        for cell, function in definitions(notebook):
            for topic in TOPICS:
                if function.name in topic.own:
                    found[topic].append(Sign(cell.number, f"defines {function.name}"))
    topics = [topic for topic, signs in found.items() if signs]
    if not topics:
        raise ValueError(
            f"{notebook.path} must be one of the course's four notebooks, got one that neither imports a helper file "
            f"of theirs ({', '.join(topic.helper for topic in TOPICS)}) nor defines its functions"
        )
    if len(topics) > 1:
        places = " and ".join(f"{found[topic][0].text} in cell {found[topic][0].cell}" for topic in topics)
        raise ValueError(
            f"{notebook.path} must be one of the course's notebooks, got several in one, whose functions have the same "
            f"names: it {places}"
        )
    return topics[0], list({sign.text: sign for sign in reversed(found[topics[0]])}.values())


def find_version(notebook: Notebook, topic: Topic) -> tuple[Version, list[Sign]]:
    """Find out of which version a notebook is.

    Parameters
    ----------
    notebook : Notebook
        The notebook.
    topic : Topic
        Which one it is.

    Returns
    -------
    version : {"v1", "v1b", "2021"}
        The version; "v1b" for all before 2021, but for the optimization notebook of 2017.
    signs : list of Sign
        What it is known by.

    Examples
    --------
    >>> find_version(Notebook(None, {}, [], []), TOPICS[0])
    ('v1b', [])
    """
    found = list(_signs(notebook, topic))
    # The first decides: what functions take and return would break first.
    version = found[0][0] if found else "v1b"
    signs = {sign.text: sign for other, sign in reversed(found) if other == version}
    return version, list(reversed(signs.values()))


def _signs(notebook: Notebook, topic: Topic) -> Iterator[tuple[Version, Sign]]:
    """Yield what a notebook's version is known by, the surest first."""
    if topic.name == "optimization":
        yield from _optimization_signs(notebook, _before_2021(notebook))
    elif topic.name == "gradient_checking":
        yield from _gradient_checking_signs(notebook)
    for cell, node in imports(notebook):
        for name in imported_modules(node):
            if name == "public_tests" or name.startswith("fastnn.v2021."):
                yield "2021", Sign(cell.number, f"imports {name}")
            elif name == "opt_utils" or name.startswith("fastnn.v1."):
                yield "v1", Sign(cell.number, f"imports {name}")


def _before_2021(notebook: Notebook) -> Version:
    """Tell 2017 from later, as only the optimization notebook's helper file does."""
    modules = [name for _, node in imports(notebook) for name in imported_modules(node)]
    return "v1" if any(name == "opt_utils" or name.startswith("fastnn.v1.") for name in modules) else "v1b"


def _optimization_signs(notebook: Notebook, old: Version) -> Iterator[tuple[Version, Sign]]:
    adam = "update_parameters_with_adam"
    for cell, function in definitions(notebook):
        for count in {*returned_values(function)} & {3, 5} if function.name == adam else ():
            yield "2021" if count == 5 else old, Sign(cell.number, f"{adam} returns {count} values")
    for cell, node in _nodes(notebook):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and _calls(node.value, adam):
            count = len(node.targets[0].elts)
            if count in (3, 5):
                yield "2021" if count == 5 else old, Sign(cell.number, f"{adam} gives {count} values")
    for cell, function in definitions(notebook):
        if function.name == "model" and "decay" in argument_names(function):
            yield "2021", Sign(cell.number, "model takes decay")
        if function.name in ("update_lr", "schedule_lr_decay"):
            yield "2021", Sign(cell.number, f"defines {function.name}")


def _gradient_checking_signs(notebook: Notebook) -> Iterator[tuple[Version, Sign]]:
    checks = "gradient_check", "gradient_check_n"
    for cell, function in definitions(notebook):
        if function.name in checks:
            told = "print_msg" in argument_names(function)
            text = f"{function.name} {'takes' if told else 'does not take'} print_msg"
            yield "2021" if told else "v1b", Sign(cell.number, text)
    for cell, node in _nodes(notebook):
        keywords = [keyword.arg for keyword in node.keywords] if isinstance(node, ast.Call) else []
        if "print_msg" in keywords and _calls(node, *checks):
            yield "2021", Sign(cell.number, "print_msg is given")


def argument_names(function: Function) -> list[str]:
    """Return the names of a function's ordinary arguments.

    Parameters
    ----------
    function : ast.FunctionDef
        The function.

    Returns
    -------
    list of str
        Their names.

    Examples
    --------
    >>> argument_names(ast.parse("def f(x, *, y=1): pass").body[0])
    ['x']
    """
    return [argument.arg for argument in function.args.args]


def returned_values(function: Function) -> Iterator[int]:
    r"""Yield how many values each `return` of a function gives, those of functions within it left out.

    Parameters
    ----------
    function : ast.FunctionDef
        The function.

    Yields
    ------
    int
        The number of values.

    Examples
    --------
    >>> list(returned_values(ast.parse("def f(x):\n    return x, 2 * x").body[0]))
    [2]
    """
    parts: list[ast.AST] = [*function.body]
    while parts:
        part = parts.pop()
        if isinstance(part, ast.Return):
            yield len(part.value.elts) if isinstance(part.value, ast.Tuple) else 1
        elif not isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            parts += ast.iter_child_nodes(part)


def _nodes(notebook: Notebook) -> Iterator[tuple[Cell, ast.AST]]:
    """Yield all that the trees of the cells hold."""
    for cell in notebook.cells:
        for node in ast.walk(cell.tree) if cell.tree else ():
            yield cell, node


def _calls(node: ast.AST, *names: str) -> bool:
    """Tell whether this is the call of one of these functions."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
