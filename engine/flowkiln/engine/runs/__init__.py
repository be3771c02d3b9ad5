"""A flow run as a whole: `Flow.run`, its log, a run that others watch, and a restart after a failure."""
