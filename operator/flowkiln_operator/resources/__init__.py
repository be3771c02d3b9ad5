"""The objects that the operator creates for a run, as plain Kubernetes manifests: values in, values out."""
