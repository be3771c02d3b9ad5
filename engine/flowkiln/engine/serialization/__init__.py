"""What goes between processes: which results are small, what can be pickled, and which part of a value cannot."""
