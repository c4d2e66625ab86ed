"""Everything that knows HTTP: the application, its routes, and how records look on the wire."""
