"""What the four notebooks share, in NumPy: formulas, public functions, data, figures, and what a run prints.

Imported by the notebooks' modules on both sides.
"""
