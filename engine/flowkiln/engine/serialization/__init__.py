"""Transfer between processes: inline results, picklability, and diagnosis of unpicklable values."""
