"""Models, people and frames held against one another."""
