"""The notebooks' compiled side: what their four modules share, their `model`s' runs, and `python -m fastnn`.

Uses the engine and the kernels; only the notebooks' modules and the command line import it.
"""
