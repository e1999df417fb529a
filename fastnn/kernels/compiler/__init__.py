"""How kernels are compiled, kept and run: policy, cache, processor, vectors of numbers and what they are traced into.

Imported by every kernel; imports nothing of fastnn but the hold on Ctrl-C.
"""
