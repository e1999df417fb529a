"""Products: the micro-kernel, what packs for it, and W A, W^T dZ, dW and db on top of it.

Imported by the program and by the course's functions.
"""
