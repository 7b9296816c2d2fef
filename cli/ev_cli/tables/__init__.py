"""Parser tables, generated from the command tree. A test fails when one is stale."""
