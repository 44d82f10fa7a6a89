"""The only code that speaks to PostgreSQL: migrations and one module per subject."""
