"""What `scatterlens serve`, `keys`, `backup`, `restore` and `retain` do."""
