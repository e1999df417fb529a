"""The notebooks' functions, a call each, and the ops that a `model` puts into the program.

Imported by `fastnn.course` and the notebooks' modules.
"""
