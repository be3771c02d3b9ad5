"""Flowkiln as a whole, installed on a real Kubernetes."""
