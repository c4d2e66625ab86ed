"""What lies on the disk: files by content, homes, locks, backups."""
