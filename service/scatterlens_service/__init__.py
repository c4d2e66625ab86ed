"""The gateway: HTTP, keys, the ledger, blobs, and overlays as pictures."""
