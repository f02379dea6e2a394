"""Pages of the web: from WARC archives and HTML files to the text a reader sees."""
