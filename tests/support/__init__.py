"""Real parts that several suites start."""
