"""A step of training as all threads of a team run it, and the table of ops that it is put together from.

Imported by the engine, and by the kernels of the course and the estimators for the table.
"""
