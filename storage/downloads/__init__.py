"""Downloads: checkpoints fetched from hubs and web addresses through one guarded door."""
