"""Lists of jobs: read from a file, planned, run one by one or by many workers, and recorded."""
