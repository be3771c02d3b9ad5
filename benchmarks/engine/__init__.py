"""The engine beside raw Dask on the same workers."""
