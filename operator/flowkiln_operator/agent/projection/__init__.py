"""From the engine's records to `status.flow` and `status.tasks`: values in, values out, no I/O."""
