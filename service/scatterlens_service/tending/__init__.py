"""What goes on beside requests: bells, sweeps, retention, processes that are kept alive."""
