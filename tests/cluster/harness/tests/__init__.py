"""Tests of the harness's decisions, without a cluster."""
