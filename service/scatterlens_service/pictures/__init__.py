"""What is drawn and packed from stored arrays: overlays, colour maps, NeXus files."""
