"""A single Kubernetes node built from Go modules and Debian packages, in namespaces of its own on this host."""
