"""What a run costs on a real Kubernetes, beside a bare DaskCluster that does the same."""
