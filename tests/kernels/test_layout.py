"""The layout is one declaration: places numbered in order, each with its meaning; kernels say what they are given."""

import ast
import re
from pathlib import Path

import pytest

import fastnn.kernels
from fastnn.kernels import layout as at
from fastnn.kernels.course.ops import COURSE_OPS
from fastnn.kernels.estimators.ops import ESTIMATOR_OPS
from fastnn.kernels.program.ops import OPS

KERNELS = Path(fastnn.kernels.__file__).parent
LINES = Path(at.__file__).read_text().splitlines()

# The first and the last name of every list of places.
LISTS = [
    ("SETTINGS", "TABLE_SIZE"), ("TASK", "N_SETTINGS"), ("UNITS", "RECORD_FIELDS"), ("L2", "N_REALS"),
    ("RATE", "N_STEP_REALS"), ("TRAIN", "RETURN"),
]  # fmt: skip


def declared():
    """Return name, number and comment of every line that declares a place."""
    found = [re.match(r"([A-Z][A-Z0-9_]*) = (\d+) *(?:# (.*))?$", line) for line in LINES]
    return [(match[1], int(match[2]), match[3]) for match in found if match]


def names_between(first, last):
    names = [name for name, _, _ in declared()]
    return names[names.index(first) : names.index(last) + 1]


@pytest.mark.parametrize(("first", "last"), LISTS)
def test_places_are_numbered_in_order(first, last):
    numbers = {name: number for name, number, _ in declared()}
    names = names_between(first, last)
    assert [numbers[name] for name in names] == list(range(len(names)))


def test_every_place_says_what_it_is_and_has_a_name_of_its_own():
    sizes = {"TABLE_SIZE", "N_SETTINGS", "RECORD_FIELDS", "N_REALS", "N_STEP_REALS"}
    listed = {name for first, last in LISTS for name in names_between(first, last)} - sizes
    rows = declared()
    assert len({name for name, _, _ in rows}) == len(rows)
    continued = {LINES[k].split(" = ")[0] for k in range(len(LINES) - 1) if LINES[k + 1].startswith("#    ")}
    for name, _, comment in rows:
        if name in listed:
            assert comment, name
            assert len(comment.split()) > 1 or name in continued, name


def test_every_place_is_used():
    package = KERNELS.parent
    code = "\n".join(path.read_text() for path in package.rglob("*.py") if path != Path(at.__file__))
    used = set(re.findall(r"\bat\.([A-Z][A-Z0-9_]*)", code)) | {"RECORD_FIELDS", "N_REALS", "N_STEP_REALS"}
    assert {name for name, _, _ in declared()} - used - {"RECORDS", "STEP_REALS_STRIDE"} == set()
    assert at.RECORD_FIELDS <= at.RECORD
    assert at.N_STEP_REALS <= at.STEP_REALS_STRIDE


@pytest.mark.parametrize("ops", [OPS, COURSE_OPS, ESTIMATOR_OPS], ids=["engine", "course", "estimators"])
def test_every_op_is_in_the_table(ops):
    assert sorted(ops) == list(range(at.READ, at.TABLE_SIZE))
    assert len(set(ops.values())) == len(ops)


def documented():
    """Return, for every kernel of more than six parameters, its file and definition; and all docstrings by name."""
    many, docstrings = [], {}
    for path in sorted(KERNELS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                names = [a.arg for a in node.args.args]
                docstrings.setdefault(node.name, []).append((ast.get_docstring(node) or "", names))
                if len(names) > 6:
                    many.append(pytest.param(node, id=f"{path.relative_to(KERNELS)}:{node.name}"))
    return many, docstrings


MANY, DOCSTRINGS = documented()


def described(name, seen=frozenset()):
    """Return the words of a function's docstrings, and of those that these refer to."""
    words = set()
    for text, _ in DOCSTRINGS.get(name, []):
        words |= set(re.findall(r"\w+", text))
        for other in set(re.findall(r"`(\w+)`", text)) & set(DOCSTRINGS) - seen - {name}:
            words |= described(other, seen | {name})
    return words


@pytest.mark.parametrize("function", MANY)
def test_kernels_with_many_parameters_say_what_each_is(function):
    parameters = {a.arg for a in function.args.args} - {"typingctx"}
    assert parameters - described(function.name) == set()
