"""Project the engine's records onto `status.flow` and `status.tasks`: pure, without I/O."""
