"""Activations, losses, optimisers and random numbers: each the compiled form of the same path under `reference`.

Imported by everything in `kernels` that computes; imports the compiler's folder alone.
"""
