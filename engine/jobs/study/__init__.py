"""Study: several arms and seeds at one real budget, compared on common test starts."""
