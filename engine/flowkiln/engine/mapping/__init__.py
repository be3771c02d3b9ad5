"""Mapped tasks: elements of values, and the inputs of each child."""
