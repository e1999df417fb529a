"""Notebooks as files: their cells, the syntax trees of these, changes in place, and a copy beside the file.

Only the standard library is needed, and nothing of a notebook is run.
"""

import ast
import json
import os
import re
import secrets
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

# A notebook's JSON, of whatever shape its author gave it.
Json: TypeAlias = dict[str, Any]

# Cells that begin with one of these still hold Python below it.
_PYTHON_CELL_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
# IPython's lines: %magic, !command, name?, and an assignment from either. `x = (a` and `% b)` below it are Python.
_MAGIC = re.compile(r"(?P<indent>\s*)(%{1,2}[A-Za-z]|!|\?|[\w., ]+=\s*(![^=]|%[A-Za-z])|[%\w.]+\?{1,2}\s*$)")


@dataclass
class Cell:
    """A code cell.

    Parameters
    ----------
    number : int
        Which code cell it is, from 1: `In [number]` once all cells have been run in order.
    source : str
        Its text.
    tree : ast.Module or None
        Its syntax tree; None if it is not Python, or not in a form that Python reads.
    problem : str or None
        Why it cannot be read; None for one in another language, by a cell magic.

    Examples
    --------
    >>> Cell(1, "x = 1", *parsed("x = 1")).problem is None
    True
    """

    number: int
    source: str
    tree: ast.Module | None
    problem: str | None


@dataclass
class Notebook:
    """A notebook that was read.

    Parameters
    ----------
    path : pathlib.Path
        Its file.
    json : dict
        All that the file says.
    raw_cells : list of dict
        The code cells within `json`.
    cells : list of Cell
        The same cells, read.

    Examples
    --------
    >>> Notebook(Path("empty.ipynb"), {"cells": []}, [], []).cells
    []
    """

    path: Path
    json: Json
    raw_cells: list[Json]
    cells: list[Cell]


def read_notebook(path: str | os.PathLike[str]) -> Notebook:
    """Read a Jupyter notebook, of format 4 or of the older ones with worksheets.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    Notebook
        With its code cells.

    Raises
    ------
    ValueError
        If there is no such file, or it is not a notebook in Python.

    Examples
    --------
    >>> read_notebook("no/such.ipynb")
    Traceback (most recent call last):
    ...
    ValueError: no/such.ipynb cannot be read: No such file or directory
    """
    file = Path(path)
    try:
        contents = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} must be a Jupyter notebook, which is JSON in UTF-8: {error}") from error
    try:
        language = _language(contents)
        raw_cells = list(_code_cells(contents))
        sources = [_source(raw) for raw in raw_cells]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} must be a Jupyter notebook, got JSON without a notebook's list of cells") from error
    if language != "python":
        raise ValueError(f"{file} must be a notebook in Python, got one in {language}")
    cells = [Cell(number, source, *parsed(source)) for number, source in enumerate(sources, start=1)]
    return Notebook(file, contents, raw_cells, cells)


def write_copy(notebook: Notebook, sources: Iterable[str], path: Path) -> None:
    """Write the notebook with other code, without outputs, to a new file, which is there in one move.

    Parameters
    ----------
    notebook : Notebook
        The notebook, which stays as it is.
    sources : iterable of str
        The text of each code cell.
    path : pathlib.Path
        The new file.

    Raises
    ------
    FileExistsError
        If there is such a file.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> write_copy(Notebook(Path("a.ipynb"), {"cells": []}, [], []), [], Path("/"))
    Traceback (most recent call last):
    ...
    FileExistsError: / exists already
    """
    copied: Json = json.loads(json.dumps(notebook.json))
    for raw, source in zip(_code_cells(copied), sources, strict=True):
        key = "source" if "source" in raw else "input"
        if source != _source(raw):
            raw[key] = source.splitlines(keepends=True) if isinstance(raw[key], list) else source
        raw["outputs"] = []
        if key == "source":
            raw["execution_count"] = None
        else:  # of the older formats
            raw.pop("prompt_number", None)
    try:
        contents = json.dumps(copied, ensure_ascii=False, indent=1).encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON may hold and UTF-8 not
        contents = json.dumps(copied, indent=1).encode()
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with part.open("xb") as stream:
            stream.write(contents + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def _language(contents: Json) -> str:
    """Return the language of a notebook, in small letters; what does not say is Python."""
    metadata = contents.get("metadata") or {}
    named = [(metadata.get("kernelspec") or {}).get("language"), (metadata.get("language_info") or {}).get("name")]
    language = next((name for name in named if isinstance(name, str) and name), "python").lower()
    return "python" if language in ("ipython", "python3", "python2") else language


def _code_cells(contents: Json) -> Iterator[Json]:
    """Yield the code cells of either format, in order."""
    for sheet in contents.get("worksheets", [contents]):
        for cell in sheet["cells"]:
            if cell.get("cell_type") == "code":
                yield cell


def _source(raw: Json) -> str:
    """Return a cell's text, with plain line ends."""
    source = raw["source"] if "source" in raw else raw["input"]
    text = source if isinstance(source, str) else "".join(source)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed(source: str) -> tuple[ast.Module | None, str | None]:
    r"""Read a cell as Python, whatever of IPython's is in it and where an exercise is still empty.

    Parameters
    ----------
    source : str
        The cell's text.

    Returns
    -------
    tree : ast.Module or None
        Its syntax tree, with the line numbers of `source`; None if there is none.
    problem : str or None
        What stood in the way; None for a cell in another language.

    Examples
    --------
    >>> tree, problem = parsed("%matplotlib inline\nfor l in range(L):\n    # YOUR CODE STARTS HERE\nx = 1")
    >>> [type(node).__name__ for node in tree.body]
    ['Pass', 'For', 'Assign']
    """
    lines = source.split("\n")
    first = next((index for index, line in enumerate(lines) if line.strip()), 0)
    if lines[first].startswith("%%"):
        if lines[first].split()[0] not in _PYTHON_CELL_MAGICS:
            return None, None
        lines[first] = ""
    masked, problem = False, "it cannot be read"
    for _ in range(len(lines) + 2):
        try:
            # Python warns of odd escapes while it reads.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse("\n".join(lines)), None
        except SyntaxError as error:
            problem = f"{error.msg}, line {error.lineno}"
            if not masked:
                lines, masked = [_MAGIC.sub(_masked, line) if is_magic(line) else line for line in lines], True
            elif not _fill_empty_block(lines, error):
                break
        except (ValueError, RecursionError, MemoryError) as error:
            problem = str(error) or type(error).__name__
            break
    return None, problem


def is_magic(line: str) -> bool:
    """Tell whether a line of a cell is IPython's rather than Python's.

    Parameters
    ----------
    line : str
        The line.

    Returns
    -------
    bool
        Whether it is. A line of Python that only looks so, within a string say, is one too.

    Examples
    --------
    >>> [is_magic(line) for line in ("%matplotlib inline", "!ls", "files = !ls", "model?", "    % 3)", "x = 3 % 2")]
    [True, True, True, True, False, False]
    """
    return _MAGIC.match(line) is not None


def _fill_empty_block(lines: list[str], error: SyntaxError) -> bool:
    """Put `pass` where a block holds nothing but comments, as that of an exercise may; tell whether one was there."""
    if not isinstance(error, IndentationError) or "expected an indented block" not in (error.msg or ""):
        return False
    # The error is where the block should have been; at the very end it names the last line.
    end = min(error.lineno or 0, len(lines)) - 1
    if not _is_empty(lines[end]):
        end -= 1
    header = end
    while header >= 0 and _is_empty(lines[header]):
        header -= 1
    if header < 0 or header == end:
        return False
    indent = len(lines[header]) - len(lines[header].lstrip())
    lines[header + 1] = " " * (indent + 1) + "pass"
    return True


def _is_empty(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


@dataclass(frozen=True)
class Edit:
    r"""A piece of a cell to replace.

    Parameters
    ----------
    node : ast.stmt
        The statement. A function's comments right above it, and those at its end, belong to it.
    text : str
        What comes in its place, if anything.

    Examples
    --------
    >>> code = "import numpy\n# Mine.\ndef f():\n    pass"
    >>> edited(code, [Edit(parsed(code)[0].body[1], "")])
    'import numpy'
    """

    node: ast.stmt
    text: str


def edited(source: str, edits: Iterable[Edit]) -> str:
    """Return a cell's text with statements replaced.

    Parameters
    ----------
    source : str
        The text.
    edits : iterable of Edit
        What to replace; statements of the tree of this text, none within another.

    Returns
    -------
    str
        The new text.

    Examples
    --------
    >>> edited("from a import b; x = 1", [Edit(ast.parse("from a import b").body[0], "from c import b")])
    'from c import b; x = 1'
    """
    lines = source.split("\n")
    for edit in sorted(edits, key=lambda edit: (edit.node.lineno, edit.node.col_offset), reverse=True):
        first, last = edit.node.lineno - 1, (edit.node.end_lineno or edit.node.lineno) - 1
        if isinstance(edit.node, ast.FunctionDef | ast.AsyncFunctionDef):
            first, last = _with_comments(lines, first, last)
            lines[first : last + 1] = edit.text.split("\n") if edit.text else []
            continue
        before = _head(lines[first], edit.node.col_offset)
        after = lines[last][len(_head(lines[last], edit.node.end_col_offset or 0)) :]
        if edit.text:
            indented = edit.text.replace("\n", "\n" + before) if not before.strip() else edit.text
            lines[first : last + 1] = (before + indented + after).split("\n")
        elif before or not _is_empty(after):
            lines[first : last + 1] = [before + "pass" + after]
        else:
            del lines[first : last + 1]
    return "\n".join(lines)


def _with_comments(lines: list[str], first: int, last: int) -> tuple[int, int]:
    """Return the first and the last line of a function with the comments right above it and those at its end."""
    while first > 0 and lines[first - 1].startswith("#"):
        first -= 1
    following = last + 1
    while following < len(lines) and _is_empty(lines[following]):
        if lines[following][:1].isspace():
            last = following
        following += 1
    return first, last


def _head(line: str, offset: int) -> str:
    """Return what stands before an offset, which the syntax tree counts in bytes."""
    return line.encode(errors="surrogatepass")[:offset].decode(errors="surrogatepass")


def _masked(match: re.Match[str]) -> str:
    """Return what stands in for the beginning of a line of IPython's: the rest becomes a comment."""
    return f"{match['indent']}pass  #"
