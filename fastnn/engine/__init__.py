"""The compiled engine's insides: plans, workspaces, sessions, and threads.

Uses kernels and specs; networks, trainers, the course and the estimators import it, and it none of them.
"""
