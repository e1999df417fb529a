"""What an engine is given, compiled or not: a training's description, and the state that its steps change.

Uses names, settings and checks alone; both engines import it.
"""
