"""Tests that need a real Kubernetes, and the harness that brings one (`python -m tests.cluster`)."""
