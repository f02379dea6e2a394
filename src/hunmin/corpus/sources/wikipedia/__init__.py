"""Wikipedia: articles as plain text, from the hub or from a dump."""
