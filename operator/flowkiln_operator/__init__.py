"""The Kubernetes side of Flowkiln: the operator's controller, the objects of a run, and the agent in its pods."""
