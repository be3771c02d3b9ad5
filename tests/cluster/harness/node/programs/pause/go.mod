module flowkiln.dev/testcluster/pause

go 1.24.0
