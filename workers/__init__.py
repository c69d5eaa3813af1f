"""The Celery app and its steps: dispatch, pipelines, exports, and the care that keeps them going.

May import from `shared` only; what the receiver hands over is a committed folder and a task name.
"""
