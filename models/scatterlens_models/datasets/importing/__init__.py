"""Labelled frames from the files in which others keep them; a module for each kind of file."""
