"""The routes of the API, one module for each subject. They hold no SQL."""
