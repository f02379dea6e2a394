"""De-duplication: exact, near and line by line, as kernels over Arrow columns."""
