"""Drawing skeletons, and reading them back from drawings."""
