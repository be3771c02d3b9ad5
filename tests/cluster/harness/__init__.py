"""A real Kubernetes for tests, whichever way one can be had on this host."""
