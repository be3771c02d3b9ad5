"""The Helm chart, without a cluster."""
