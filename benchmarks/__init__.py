"""Every figure that Flowkiln publishes, each beside its baseline in the same run."""
