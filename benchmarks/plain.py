"""The notebooks' own code, without checks, as the tests have it: what a learner runs today, and our rival."""

import ast
import sys
import types
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
HELPERS = {
    "initialization": "init_utils", "regularization": "reg_utils", "gradient_checking": "gc_utils",
    "optimization": "opt_utils_v1a",
}  # fmt: skip


def _functions(source):
    """Return the code of the functions that a cell defines."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # a magic
        return ""
    return "\n".join(ast.unparse(node) for node in tree.body if isinstance(node, ast.FunctionDef))


def notebook(topic):
    """Return all that a notebook of 2018 to 2020 defines, and imports from its file of helpers.

    Returns
    -------
    namespace : dict
        Which all its functions look names up in, so that one that is replaced is replaced for all.
    helpers : set of str
        Names that come from the file of helpers.
    """
    sys.path[:0] = [str(TESTS / "helpers"), str(TESTS / "course_notebooks")]
    from notebook_cases import cells_of

    namespace = {}
    exec(f"import numpy as np, math; from {HELPERS[topic]} import *", namespace)
    helpers = {name for name, value in namespace.items() if isinstance(value, types.FunctionType)}
    for kind, source, _ in cells_of(topic, "v1b"):
        if kind == "code":
            exec(_functions(source), namespace)
    for name, value in namespace.items():
        if isinstance(value, types.FunctionType):
            namespace[name] = types.FunctionType(value.__code__, namespace, name, value.__defaults__)
    return namespace, helpers
