"""The ops that scikit-learn's losses and shuffles put into the program; their oracle is scikit-learn.

Imported by `fastnn.estimators`.
"""
