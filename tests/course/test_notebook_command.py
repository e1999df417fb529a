"""The command `python -m fastnn notebook`: which notebook it is, what to change, and the changed copy."""

import json
import os
import re
import subprocess
import sys

import pytest
from notebook_cases import NOTEBOOKS, cells_of, notebook_of, write_notebook

from fastnn.__main__ import main
from fastnn.course.notebooks import Edit, edited, parsed

TITLES = {
    ("optimization", "v1"): "the Optimization Methods notebook of 2017",
    ("optimization", "v1b"): "the Optimization Methods notebook of 2018 to 2020",
    ("optimization", "2021"): "the Optimization Methods notebook of 2021 and later",
}
EXERCISE = "# YOUR CODE STARTS HERE\n    # YOUR CODE ENDS HERE\n"


@pytest.fixture
def write(tmp_path):
    """Write notebooks of code cells."""

    def write(*sources, name="mine.ipynb", **changes):
        path = tmp_path / name
        notebook = notebook_of([("code", source, None) for source in sources])
        path.write_text(json.dumps({**notebook, **changes}))
        return path

    return write


@pytest.fixture
def command(capsys):
    """Run the command; return the exit code, and what it prints on stdout and on stderr."""

    def command(*arguments):
        code = main(["notebook", *map(str, arguments)])
        return code, *capsys.readouterr()

    return command


def code_of(path):
    """Return the code cells of a notebook."""
    cells = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def copy_of(path):
    return path.with_name(f"{path.stem}.fastnn.ipynb")


def run(path, folder):
    """Run the cells one after another in a process of its own, as a kernel does; return what is printed."""
    cells = [re.sub("^%.*$", "", source, flags=re.MULTILINE) for source in code_of(path)]
    program = folder / f"{path.stem}.py"
    program.write_text("\n".join(cells))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [*sys.path, os.environ.get("PYTHONPATH")]))}
    done = subprocess.run(
        [sys.executable, program.name], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# The course's notebooks


@pytest.mark.parametrize(("topic", "version"), NOTEBOOKS)
def test_each_notebook_is_known(tmp_path, command, topic, version):
    code, printed, _ = command(write_notebook(tmp_path, topic, version))
    assert code == 0
    years = "2021 and later" if version == "2021" else "2017 to 2020"
    title = TITLES.get((topic, version), f"the {topic.replace('_', ' ').title()} notebook of {years}")
    assert f".ipynb: {title}\n" in printed
    door = {"v1": "v1." if topic == "optimization" else "", "v1b": "", "2021": "v2021."}[version]
    assert f"    from fastnn.{door}{topic} import " in printed
    assert "cannot be read" not in printed


@pytest.mark.parametrize(("topic", "version"), NOTEBOOKS)
def test_copy_defines_nothing_that_fastnn_has(tmp_path, command, topic, version):
    path = write_notebook(tmp_path, topic, version)
    before = path.read_bytes()
    assert command(path, "--write")[0] == 0
    assert path.read_bytes() == before
    cells = code_of(copy_of(path))
    assert len(cells) == len(code_of(path))
    defined = re.findall(r"^def (\w+)", "\n".join(cells), re.MULTILINE)
    assert defined == (["backward_propagation_n"] if topic == "gradient_checking" else [])
    assert not re.search(r"from \w+_utils", "\n".join(cells))
    # What is no definition and no import of a helper is as it was.
    plain = [text for kind, text, _ in cells_of(topic, version) if kind == "code"]
    kept = [text for text in plain if not re.search(r"^def |_utils", text, re.MULTILINE)]
    assert [text for text in cells if text in kept] == kept


def test_report_names_definitions_and_files(tmp_path, command):
    _, printed, _ = command(write_notebook(tmp_path, "regularization", "2021"))
    deleted = re.findall(r"^    cell (\d+): (\w+)$", printed.partition("Delete")[2], re.MULTILINE)
    assert deleted == [
        ("3", "model"),
        ("6", "compute_cost_with_regularization"),
        ("8", "backward_propagation_with_regularization"),
        ("12", "forward_propagation_with_dropout"),
        ("14", "backward_propagation_with_dropout"),
    ]
    assert "Still needed beside the notebook: testCases.py, public_tests.py, datasets/data.mat\n" in printed
    (tmp_path / "testCases.py").unlink()
    _, printed, _ = command(tmp_path / "regularization_2021.ipynb")
    assert "beside the notebook: testCases.py (not there), public_tests.py" in printed
    (tmp_path / "public_tests.py").write_text("from no_such_tools.testing import *\nimport reg_utils, numpy")
    _, printed, _ = command(tmp_path / "regularization_2021.ipynb")
    assert "public_tests.py (imports no_such_tools: not installed; README says what to do), datasets" in printed


def test_copy_runs_and_prints_the_same(tmp_path, command):
    path = write_notebook(tmp_path, "gradient_checking", "2021")
    command(path, "--write")
    plain, switched = (run(file, tmp_path) for file in (path, copy_of(path)))
    number = r"(?<=difference = )[\d.e-]+"
    assert re.sub(number, "", switched) == re.sub(number, "", plain)
    ours, own = ([float(found) for found in re.findall(number, text)] for text in (switched, plain))
    assert ours[:2] == pytest.approx(own[:2], rel=1e-9)
    # Rounding decides on the fifth digit of the last.
    assert ours[2] == pytest.approx(own[2], rel=1e-3)
    assert own[2] < 2e-7 < own[1]


# What learners have made of them


@pytest.mark.parametrize(("helper", "loader"), [("init_utils", "load_cat_dataset"), ("reg_utils", "load_dataset")])
def test_cats_are_needed_where_they_are_loaded(write, command, helper, loader):
    needed = "beside the notebook: datasets/train_catvnoncat.h5 (not there), datasets/test_catvnoncat.h5 (not there)\n"
    assert needed not in command(write(f"from {helper} import *"))[1]
    assert needed in command(write(f"from {helper} import *\nX = {loader}()"))[1]


def test_unsolved_exercises_are_switched(write, command):
    """An exercise of 2021 that nobody has filled in is no Python: a block of nothing but comments."""
    loop = f"    for l in range(1, 3):\n        #(2 lines)\n        {EXERCISE.strip()}\n\n    return parameters, v"
    path = write(
        "from public_tests import *\nfrom opt_utils_v1a import predict",
        "# GRADED FUNCTION\n\ndef update_parameters_with_momentum(parameters, grads, v, beta, learning_rate):\n" + loop,
        "def update_parameters_with_gd(parameters, grads, learning_rate):\n    W1 = None  # YOUR CODE",
        f"def random_mini_batches(X, Y, mini_batch_size=64, seed=0):\n    {EXERCISE}",
        "def initialize_adam(parameters):\n    v, s = {}, {}\n    # YOUR CODE STARTS HERE\n    return v, s",
    )
    code, printed, _ = command(path, "--write")
    assert code == 0
    assert "2021 and later" in printed
    assert "Left as it is" not in printed
    assert code_of(copy_of(path))[1:] == [
        "# update_parameters_with_momentum: imported from fastnn.v2021.optimization",
        "# update_parameters_with_gd: imported from fastnn.v2021.optimization",
        "# random_mini_batches: imported from fastnn.v2021.optimization",
        "# initialize_adam: imported from fastnn.v2021.optimization",
    ]


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("def model(X, Y, learning_rate=0.01, num_iterations=20000): return {}",
         "model has num_iterations=20000 as default, where fastnn's has 15000: say it in the calls"),
        ("def model(X, Y, learning_rate=0.01, num_iterations=15000):\n    return {}, []",
         "model returns 2 values, fastnn's 1 value"),
        ("def model(X, Y, widths): return {}",
         "model takes (X, Y, widths), fastnn's (X, Y, learning_rate, num_iterations, print_cost, initialization)"),
        ("def predict(X, y): return X", "predict takes (X, y), fastnn's (X, y, parameters)"),
        ("def relu(*x): return x", "relu takes (*x), fastnn's (x)"),
        ("@cache\ndef relu(x): return x", "relu is decorated or async"),
        ("def predict(X, y, parameters=p): return X",
         "predict has parameters=p as default, where fastnn's has none: say it in the calls"),
    ],
)  # fmt: skip
def test_changed_functions_stay(write, command, definition, reason):
    path = write("from init_utils import *", definition, "def sigmoid(x):\n    return x", "sigmoid(relu(1))")
    _, printed, _ = command(path, "--write")
    assert f"Left as it is:\n    cell 2: {reason}\n" in printed
    first, second, third, _ = code_of(copy_of(path))
    assert second == definition
    assert third == "# sigmoid: imported from fastnn.initialization"
    name = definition.partition("def ")[2].partition("(")[0]
    assert name not in first.replace(",", " ").split()


def test_other_functions_of_a_cell_stay(write, command):
    path = write(
        "import numpy as np; from init_utils import relu  # theirs",
        "# Mine.\nx = 1\n# Theirs.\ndef relu(x):\n    return x\n\ndef twice(x):  # ü\n    return 2 * x\n",
        "class Mine:\n    def relu(self, x):\n        return x",
    )
    command(path, "--write")
    assert code_of(copy_of(path)) == [
        "import numpy as np; from fastnn.initialization import relu  # theirs",
        "# Mine.\nx = 1\n\ndef twice(x):  # ü\n    return 2 * x\n",
        "class Mine:\n    def relu(self, x):\n        return x",
    ]


def test_star_import_becomes_the_names_that_are_used(write, command):
    path = write("from reg_utils import *", "a = predict(X, Y, parameters)\nsigmoid = 3", "%timeit compute_cost(a, Y)")
    command(path, "--write")
    assert code_of(copy_of(path))[0] == "from fastnn.regularization import compute_cost, predict"


def test_other_forms_of_import(write, command):
    path = write(
        "import opt_utils_v1a as helpers, math",
        "try:\n    from opt_utils_v1a import predict as p, unknown\nexcept ImportError:\n    import opt_utils_v1a",
        "helpers.relu(1)",
    )
    _, printed, _ = command(path, "--write")
    assert code_of(copy_of(path)) == [
        "import fastnn.optimization as helpers, math",
        "try:\n    from fastnn.optimization import predict as p\n    from opt_utils_v1a import unknown\n"
        "except ImportError:\n    import fastnn.optimization as opt_utils_v1a",
        "helpers.relu(1)",
    ]
    assert "Still needed beside the notebook: opt_utils_v1a.py (not there)" in printed


def test_notebook_without_helper_file_gets_its_import_at_the_first_definition(write, command):
    path = write("def relu(x):\n    return x\n\ndef initialize_parameters_he(layers_dims):\n    return {}", "relu(1)")
    command(path, "--write")
    assert code_of(copy_of(path)) == ["from fastnn.initialization import initialize_parameters_he, relu\n", "relu(1)"]


def test_star_import_of_fastnn_is_put_right(write, command):
    """As README had it before: the definitions further down win."""
    adam = "def update_parameters_with_adam(parameters, grads, v, s, t):\n    return parameters, v, s, 1, 2"
    path = write("from fastnn.optimization import *", adam, "*_, vc, sc = update_parameters_with_adam(p, g, v, s, 1)")
    command(path, "--write")
    assert code_of(copy_of(path))[0] == "from fastnn.v2021.optimization import update_parameters_with_adam"


def test_magics_are_left(write, command):
    path = write(
        "%matplotlib inline\n!pip install fastnn\nfiles = !ls\nfrom init_utils import *\nhelp?\n%load_ext autoreload",
        "%%time\ndef relu(x):\n    return x\n",
        "%%bash\nls | grep relu",
        "if True:\n    %time relu(1)",
    )
    _, printed, _ = command(path, "--write")
    assert "cannot be read" not in printed
    first, *rest = code_of(copy_of(path))
    assert first == (
        "%matplotlib inline\n!pip install fastnn\nfiles = !ls\nfrom fastnn.initialization import relu\nhelp?\n"
        "%load_ext autoreload"
    )
    assert rest == ["%%time\n", "%%bash\nls | grep relu", "if True:\n    %time relu(1)"]


def test_cell_that_cannot_be_read_is_named_and_left(write, command):
    broken = "def model(X, Y:\n    return predict(X)"
    path = write("from init_utils import *", broken, "relu(1)")
    code, printed, _ = command(path, "--write")
    assert code == 0
    assert re.search(r"    cell 2: cannot be read as Python \(.*line 1\): see to it yourself\n", printed)
    first, second, _ = code_of(copy_of(path))
    assert second == broken
    assert first == "from fastnn.initialization import model, predict, relu"


def test_odd_text_survives(write, command):
    texts = ["from init_utils import *\r\nx = '\u2028 é'\r\n", "print('\\W')", "\ud800", "", "x = 1\x00"]
    path = write(*texts)
    assert command(path, "--write")[0] == 0
    assert code_of(copy_of(path))[1:] == texts[1:]


# Files


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        ("{", "must be a Jupyter notebook, which is JSON in UTF-8: Expecting property name"),
        (b"\xff\xfe", "must be a Jupyter notebook, which is JSON in UTF-8: 'utf-8' codec"),
        ("[" * 100_000, "must be a Jupyter notebook, which is JSON in UTF-8: "),
        ("[1]", "must be a Jupyter notebook, got JSON without a notebook's list of cells"),
        ("null", "must be a Jupyter notebook, got JSON without a notebook's list of cells"),
        ('{"a": 1}', "must be a Jupyter notebook, got JSON without a notebook's list of cells"),
        ('{"cells": [{"cell_type": "code"}]}', "must be a Jupyter notebook, got JSON without"),
        ('{"cells": [{"cell_type": "code", "source": 3}]}', "must be a Jupyter notebook, got JSON without"),
        ('{"cells": [3]}', "must be a Jupyter notebook, got JSON without"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "must be a notebook in Python, got one in r"),
        ('{"cells": []}', "must be one of the course's four notebooks, got one that neither imports a helper file"),
    ],
    ids=range(11),
)
def test_other_files_are_a_sentence(tmp_path, command, contents, sentence):
    path = tmp_path / "x.ipynb"
    path.write_bytes(contents.encode() if isinstance(contents, str) else contents)
    code, printed, error = command(path, "--write")
    assert (code, printed) == (2, "")
    assert error.startswith(f"python -m fastnn: error: {path} {sentence}")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_missing_files_and_folders_are_a_sentence(tmp_path, command):
    assert command(tmp_path / "no.ipynb")[2].endswith("no.ipynb cannot be read: No such file or directory\n")
    assert command(tmp_path)[2].endswith("cannot be read: Is a directory\n")


def test_several_notebooks_in_one_are_a_sentence(write, command):
    code, _, error = command(write("from init_utils import *", "from reg_utils import predict"))
    assert code == 2
    assert "it imports init_utils in cell 1 and imports reg_utils in cell 2" in error


def test_worksheets_of_older_formats(tmp_path, command):
    cells = [
        {"cell_type": "markdown", "source": "model"},
        {"cell_type": "code", "input": "from init_utils import *", "outputs": [{"text": "1"}], "prompt_number": 3},
        {"cell_type": "code", "input": ["relu(1)\n", "relu(2)"], "outputs": [], "collapsed": True},
    ]
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"nbformat": 3, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}))
    assert command(path, "--write")[0] == 0
    copied = json.loads(copy_of(path).read_text())
    text, first, second = copied["worksheets"][0]["cells"]
    assert (copied["nbformat"], text) == (3, cells[0])
    assert first == {"cell_type": "code", "input": "from fastnn.initialization import relu", "outputs": []}
    assert second == cells[2]


def test_copy_keeps_all_but_code_and_outputs(write, command):
    path = write("from init_utils import *", "predict(1)", nbformat_minor=4)
    notebook = json.loads(path.read_text())
    notebook["cells"][1] |= {"execution_count": 7, "outputs": [{"output_type": "stream", "text": "x"}], "id": "ab"}
    notebook["cells"][1]["metadata"]["nbgrader"] = {"grade": True}
    notebook["cells"].append({"cell_type": "raw", "metadata": {}, "source": "é"})
    path.write_text(json.dumps(notebook))
    command(path, "--write")
    notebook["cells"][0]["source"] = ["from fastnn.initialization import predict"]
    notebook["cells"][1] |= {"execution_count": None, "outputs": []}
    assert json.loads(copy_of(path).read_text()) == notebook
    assert "é" in copy_of(path).read_text(encoding="utf-8")


def test_no_file_is_replaced(write, command):
    path = write("from init_utils import *", "relu(1)")
    copy_of(path).write_text("mine")
    code, _, error = command(path, "--write")
    assert code == 2
    assert error == (
        f"python -m fastnn: error: {copy_of(path)} exists already, and is not replaced: move it away, or delete it\n"
    )
    assert copy_of(path).read_text() == "mine"


def test_copy_of_a_copy_has_nothing_to_change(write, command):
    path = write("from init_utils import *", "relu(1)\n%timeit predict(1)", "def relu(x):\n    return x")
    assert command(path, "--write")[0] == 0
    code, printed, error = command(copy_of(path), "--write")
    assert code == 2
    assert "\nThere is nothing to change.\n" in printed
    assert "Import" not in printed
    assert "there is nothing to change in" in error


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_folder_is_a_sentence(write, command, tmp_path):
    path = write("from init_utils import *", "relu(1)")
    tmp_path.chmod(0o500)
    try:
        assert "the copy could not be written: " in command(path, "--write")[2]
    finally:
        tmp_path.chmod(0o700)


def test_help_and_bad_usage(capsys):
    for arguments, code, words in (
        (["notebook", "--help"], 0, "no file is replaced"),
        (["--help"], 0, "python -m fastnn notebook PATH"),
        (["notebook"], 2, "error: the following arguments are required: path"),
        (["other"], 2, "error: unrecognized arguments: other"),
    ):
        with pytest.raises(SystemExit) as error:
            main(arguments)
        assert error.value.code == code
        assert words in " ".join("".join(capsys.readouterr()).split())


# Parts


def test_only_lines_that_python_does_not_read_are_taken_for_magics():
    tree, _ = parsed("x = (7\n     % 3)")
    assert len(tree.body) == 1
    assert parsed("def f(:")[0] is None


def test_nested_statements_leave_a_pass():
    source = "if x:\n    from a import b\ny = 1"
    node = parsed(source)[0].body[0].body[0]
    assert edited(source, [Edit(node, "")]) == "if x:\n    pass\ny = 1"
