"""Mapped tasks: what has elements, and what each child takes from each upstream state."""
