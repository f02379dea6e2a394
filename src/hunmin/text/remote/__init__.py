"""Files on object stores and the web, read as if they lay on this machine."""
