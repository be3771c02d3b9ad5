"""The Kubernetes manifests of the objects that the operator creates for a run. Pure."""
