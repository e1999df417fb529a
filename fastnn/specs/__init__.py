"""What an engine is given, compiled or not: an architecture, how it is trained, and the state that steps change.

Uses names, settings and checks alone; both engines import it.
"""
