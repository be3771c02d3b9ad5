"""The Kubernetes side of Flowkiln: the operator's controller, what it creates, the agent in a run's pods, the CLI."""
