"""What people see of a plan: tables, time lines, pictures, a recipe, and how far to trust it."""
