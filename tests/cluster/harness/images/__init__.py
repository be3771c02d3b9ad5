"""The product's images: built from the project's own Dockerfile, with no registry at hand."""
