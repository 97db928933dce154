"""The domain: models, environments, algorithms and jobs. Knows no screen and no database."""
