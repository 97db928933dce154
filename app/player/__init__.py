"""Player: clips, their films and strips, and the drawer over any page."""
