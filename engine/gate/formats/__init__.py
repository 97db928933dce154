"""What stands inside a file of each kind, read by us before any library reads it."""
