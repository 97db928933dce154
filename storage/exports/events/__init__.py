"""Labels and preferences as tables and in the formats of others, and back."""
