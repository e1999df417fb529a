"""The engine's formulas in NumPy: each the specification of the same path under `kernels`.

Imported by the reference engine; tests compare.
"""
