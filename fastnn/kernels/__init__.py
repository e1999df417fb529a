"""Compiled functions: `compiler` makes them, `matmul` and `formulas` are arithmetic, `program` is a step of training.

`course` and `estimators` put ops of their own into the program. Nothing here imports what stands above.
"""
